"""One vocabulary: each option is in the table, spelled and explained alike in all commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest

import cli
from costmodel.commands.shared.showing import Format
from costmodel.commands.shared.training import PRECISIONS
from costmodel.commands.shared.vocabulary import SAME_OPTION, WORDS, canonical, fold
from costmodel.commands.shared.word import CHOICES, PLANS
from costmodel.tables.traced import GROUPS, SORTS

Run = Callable[..., Any]

# What typer adds, and the one option whose values are those of an enumeration.
OUTSIDE = {"--help", "--install-completion", "--show-completion", "--format"}


def commands() -> Iterator[tuple[str, Any]]:
    group = cli.command()
    yield "", group
    for name in group.commands:  # type: ignore[attr-defined]
        command = group.commands[name]  # type: ignore[attr-defined]
        yield name, command
        for inner in getattr(command, "commands", {}):
            yield f"{name} {inner}", command.commands[inner]


def options() -> list[tuple[str, Any]]:
    return [
        (name, parameter)
        for name, command in commands()
        for parameter in command.params
        if parameter.opts[0].startswith("-") and parameter.opts[0] not in OUTSIDE
    ]


@pytest.mark.parametrize(("command", "parameter"), options(), ids=lambda value: getattr(value, "name", value))
def test_every_option_is_in_the_table(command: str, parameter: Any) -> None:
    spelled = tuple(sorted(parameter.opts))
    known = [word for word in WORDS.values() if tuple(sorted(word.spellings)) == spelled]
    assert parameter.help in [word.help for word in known], command


def test_every_word_is_used() -> None:
    used = {parameter.help for _, parameter in options()}
    assert {word.key for word in WORDS.values() if word.help not in used} == set()


def test_a_spelling_has_one_meaning() -> None:
    """Words of one spelling are one thing in several numbers; their closed sets of values agree."""
    by_spelling: dict[str, set[Any]] = {}
    for word in WORDS.values():
        by_spelling.setdefault(word.spellings[0], set()).add(word.choices)
    several = {name for name, sets in by_spelling.items() if len(sets) > 1}
    # Element types of bytes, or those that can be computed in; parts of our networks, or of any network.
    assert several <= {"--dtype", "--count"}
    numbers = [word.spellings[0] for word in WORDS.values()]
    # One value, one or three per stage, a list or range, and any of these.
    assert {name for name in numbers if numbers.count(name) > 3} <= {"--alpha", "--beta", "--plot"}


@pytest.mark.parametrize(("other", "name"), SAME_OPTION.items())
def test_other_spellings_lead_to_options_that_exist(other: str, name: str) -> None:
    spellings = {spelling for word in WORDS.values() for spelling in word.spellings}
    assert f"--{name}" in spellings
    assert fold(other) == name == fold(name)


@pytest.mark.parametrize("word", [word for word in WORDS.values() if word.choices], ids=lambda word: word.key)
def test_values_are_read_in_any_case(word: Any) -> None:
    for value in word.values():
        assert canonical(word, value.upper()) == canonical(word, value.lower()) == value
    assert canonical(word, "Neither") == "Neither"  # as it was given, for the error that restates it


def test_the_closed_sets_are_those_of_the_code() -> None:
    from costmodel.grids.quantities import NAMED, PREDICTED, STRUCTURE
    from costmodel.search.space import CONSTRAINTS
    from costmodel.speed import prediction

    assert set(CHOICES["quantity"]) == set(NAMED)
    assert set(CHOICES["objective"]) == {*NAMED, *PREDICTED, *STRUCTURE}
    assert set(CHOICES["constraint"]) == set(CONSTRAINTS)
    assert set(PLANS) == {"auto", *prediction.PLANS}
    assert (CHOICES["by"], CHOICES["sort"]) == (GROUPS, SORTS)
    assert set(CHOICES["computed"]) == set(PRECISIONS)


def test_the_closed_sets_are_those_of_the_training_package() -> None:
    from pwoct import channels, octave, pwise_octave, shortcut
    from pwoct.conversion.options import INITS
    from pwoct.training.config import RECIPES
    from pwoct.training.schema import DATASETS, MachineSettings, Model

    def allowed(section: Any, key: str) -> set[str]:
        return set(get_args(section.model_fields[key].annotation))

    assert (CHOICES["init"], CHOICES["recipe"], CHOICES["dataset"]) == (INITS, RECIPES, DATASETS)
    assert set(CHOICES["device"]) | {"auto"} == allowed(MachineSettings, "device")
    assert set(PRECISIONS.values()) < allowed(MachineSettings, "precision")
    for key, values in {
        "width_rule": channels.WIDTH_RULES,
        "stride_rule": octave.STRIDE_RULES,
        "between": pwise_octave.BETWEEN,
        "shortcut": shortcut.SHORTCUTS,
    }.items():
        assert set(CHOICES[key.replace("_", "-")]) == set(values) == allowed(Model, key)


@pytest.mark.parametrize(
    "name",
    ["resnet20", "net.py:Net", "net.pt2", "NET.PT2", "a/b.onnx", "x.ONNX", "resnet8(width=4)", "timm:a"],
)
def test_commands_and_trainer_agree_on_what_is_built_in(name: str) -> None:
    from costmodel.commands.shared.network import is_own
    from pwoct.training.schema import Model

    assert Model(name=name).is_own == is_own(name) == (name != "resnet20")


@pytest.mark.parametrize("command", [name for name, _ in commands()])
def test_h_is_help_everywhere(pwoct_cost: Run, command: str) -> None:
    words = command.split()
    assert pwoct_cost(*words, "-h").out == pwoct_cost(*words, "--help").out


SAME = [
    ("--unit FLOP --format JSON", "--unit flop --format json"),
    ("--model ResNet-20 --stride-rule b --format json", "--model resnet20 --stride-rule B --format json"),
    ("--width_rule MIN --alpha 1/4 --format json", "--width-rule min --alpha 1/4 --format json"),
    ("--op Standard --dtype BF16 --format json", "--op standard --dtype bfloat16 --format json"),
    ("--count CONV,Linear --format json", "--count conv,linear --format json"),
    (
        "search --model resnet8 --minimize Bytes --maximize WIDTH --alpha 0 --format json",
        "search resnet8 --minimise bytes --maximise width --alpha 0 --format json",
    ),
    (
        "sweep RESNET8 --alpha 1/4 --paths hl,LH --quantity MACS --format json",
        "sweep --model resnet8 --alpha 1/4 --paths HL,LH --quantity macs --format json",
    ),
    (
        "sweep resnet8 --alpha 1/4 --unit flop --format csv",
        "sweep resnet8 --alpha 1/4 --unit FLOPs --format CSV",
    ),
    ("explain Octave --format json", "explain octave --format json"),
    ("cost --model ResNet-8 --format json", "cost resnet8 --format json"),
    ("convert --model RESNET8 --alpha 1/4 --format json", "convert resnet8 --alpha 1/4 --format json"),
    (
        "reconcile --model ResNet8 --counter torch --format json",
        "reconcile resnet8 --counter torch --format json",
    ),
    (
        "prove --model 'torch.nn:Conv2d(3, 4, 3)' --input 1,3,8,8 --format json",
        "prove 'torch.nn:Conv2d(3, 4, 3)' --input 1,3,8,8 --format json",
    ),
    (
        "explorer --model 'torch.nn:Conv2d(3, 4, 3)' --input 1,3,8,8 -o -",
        "explorer 'torch.nn:Conv2d(3, 4, 3)' --input 1,3,8,8 -o -",
    ),
    (
        "diff 'ResNet-8 --stride_rule a' resnet8 --format md",
        "diff 'resnet8 --stride-rule A' resnet8 --format md",
    ),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_question(pwoct_cost: Run, one: str, other: str) -> None:
    first, second = pwoct_cost(*shlex.split(one)), pwoct_cost(*shlex.split(other))
    assert (first.code, second.code) == (0, 0)
    if "paths hl" in one:  # sets of paths are restated as typed
        assert first.json["sweep"] == second.json["sweep"]
    else:
        assert first.out == second.out


@pytest.mark.parametrize("word", ["--plot", "--figure", "--output", "-o"])
@pytest.mark.parametrize("command", ["sweep resnet8 --alpha 0", "search resnet8 --alpha 0", "runs"])
def test_a_figure_is_asked_for_by_every_spelling(
    pwoct_cost: Run, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, command: str, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run = pwoct_cost(*command.split(), word, "x.doc")
    assert run.code == 2
    assert run.err == "pwoct-cost: error: a figure is a file .svg, .png or .pdf, got x.doc\n"


def test_the_ending_of_a_figure_may_be_in_capitals(pwoct_cost: Run, tmp_path: Any) -> None:
    drawn = tmp_path / "sweep.SVG"
    assert pwoct_cost("sweep", "resnet8", "--alpha", "0,1/4", "--plot", str(drawn)).code == 0
    assert drawn.read_text(encoding="utf-8").startswith("<?xml")


TAKE_A_NETWORK = [
    "cost",
    "convert",
    "reconcile",
    "prove",
    "plot",
    "explorer",
    "verify",
    "bench",
    "sweep",
    "search",
    "train",
]


def test_a_network_is_given_by_model_in_every_command_that_takes_one() -> None:
    have = {name for name, command in commands() if any("--model" in each.opts for each in command.params)}
    assert have == {"", *TAKE_A_NETWORK}


def test_plot_draws_a_network_given_by_model(pwoct_cost: Run, tmp_path: Any) -> None:
    drawn = tmp_path / "conv.svg"
    given = ("--model", "torch.nn:Conv2d(3, 4, 3)", "--input", "1,3,8,8", "-o", str(drawn))
    run = pwoct_cost("plot", *given)
    assert (run.code, drawn.exists()) == (0, True)


@pytest.mark.parametrize("command", ["cost", "convert --alpha 1/4", "plot -o x.svg"])
def test_a_network_is_needed(pwoct_cost: Run, command: str) -> None:
    run = pwoct_cost(*command.split())
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("pwoct-cost: error: which ")
    assert "net.py:Net()" in run.err


OTHERS = ["cost", "convert --alpha 1/4", "reconcile", "prove", "explorer -o -", "plot -o x.svg"]


@pytest.mark.parametrize("command", ["verify", "bench", "sweep", "train --dry-run", *OTHERS])
def test_two_different_networks_are_refused(pwoct_cost: Run, command: str) -> None:
    run = pwoct_cost(*command.split(), "resnet20", "--model", "resnet56")
    assert (run.code, run.out) == (2, "")
    assert run.err == "pwoct-cost: error: one network is needed, got resnet20 and --model resnet56\n"


@pytest.mark.parametrize("command", ["bench", "explorer", "prove", "reconcile", "sweep", "train", "verify"])
def test_an_empty_name_is_not_taken_for_none(pwoct_cost: Run, command: str) -> None:
    run = pwoct_cost(command, "--model", "")
    assert run.code == 2
    needed = "a network needs a name such as resnet56, net.py:Net() or timm:resnet50, got none"
    assert run.err == f"pwoct-cost: error: {needed}\n"


def test_data_are_named_as_an_argument_or_as_everywhere(pwoct_cost: Run) -> None:
    one, other = pwoct_cost("data", "check", "nowhere"), pwoct_cost("data", "check", "--data", "nowhere")
    assert (one.code, one.err) == (other.code, other.err) == (4, one.err)
    assert pwoct_cost("data", "check").code == pwoct_cost("data", "check", "a", "--data", "b").code == 2


def test_completion_knows_values() -> None:
    from costmodel.commands.shared.vocabulary import _completion

    assert _completion(WORDS["width-rule"])("m") == ["min", "mean"]
    assert _completion(WORDS["quantity"])("macs,by") == ["macs,bytes"]
    assert Format("json") in Format

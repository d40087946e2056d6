"""`search` for an external network: alpha, beta and paths of its stages, exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

from costmodel.commands.shared import reading
from costmodel.commands.shared.errors import say
from costmodel.commands.shared.network import (
    NetworkOnInputs,
    asked,
    is_own,
    positional,
    run_foreign,
    traced,
    within,
)
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, show
from costmodel.commands.shared.terminal import at_work

if TYPE_CHECKING:
    from costmodel.report import Table
    from costmodel.search.search import Found
    from costmodel.search.staged_search import StagedFound

# Options that apply only to built-in networks, or quantities that are unknown for others.
BUILT_IN = (
    *("size", "width", "classes", "in_channels", "dtype", "machine"),
    *("max_bytes", "max_training_macs", "max_element_ops", "max_calls", "max_latency"),
)
OWN = ("stages", "input", "inputs", "timeout")
NOTE = "equal: how many configurations cost exactly the same, this one included"


@dataclass(frozen=True)
class StagedQuestion:
    """The options of a converted network's space, as text from the command line."""

    alpha: str
    beta: str
    paths: Sequence[str] | None
    width_rules: Sequence[str]
    stages: str
    stride_rule: str
    between: str
    per_stage: bool
    constraints: Sequence[str]


def own_network(names: Sequence[str]) -> str | None:
    """Return the external network to search; None if all networks are built in.

    Raises:
        ValueError: if it is not the only one, or is converted already.
    """
    if not any(map(is_own, names)):
        return None
    if len(names) > 1:
        raise ValueError(f"search takes one network of your own at a time, got {' and '.join(names)}")
    if names[0].startswith("convert("):
        raise ValueError(f"search tries conversions: name the original, not {names[0]}")
    return names[0]


def search_own(
    name: str,
    of: StagedQuestion,
    given: tuple[Sequence[str] | None, str | None, float | None],
    budgets: Mapping[str, Fraction],
    objectives: tuple[Sequence[str], Sequence[str]],
) -> tuple[StagedFound, str, dict[str, Any]]:
    """Return the front, a title, and the conversion options that all of its networks share.

    Raises:
        ValueError: if the network does not run, nothing can be converted, or an option is out of range.
    """
    from costmodel.search.staged_search import search_staged

    shapes, made, timeout = given
    with within(timeout, name), at_work(f"searching {name}"):
        found = asked(name, shapes, made)
        network, space = staged(found, of)
        minimise, maximise = objectives
        front = search_staged(network, space, budgets, minimise=minimise, maximise=maximise)
    rules = {
        "width_rule": space.width_rule if space.width_rule != "out" else None,
        "stride_rule": of.stride_rule if of.stride_rule != "C" else None,
        "between": of.between if of.between != "none" else None,
        "inputs": said_inputs(found) if shapes or made else None,
    }
    return front, found.title, rules


def staged(found: NetworkOnInputs, of: StagedQuestion) -> Any:
    """Return a network by its stages, and the space of what they may choose; ValueError as `search_own`."""
    from costmodel.conversions.staged import SearchedNetwork, staged_network, stages_of
    from costmodel.grids.grid import PATH_SUBSETS
    from costmodel.operators.octave import STRIDE_RULES
    from costmodel.operators.pwise_octave import BETWEEN
    from costmodel.search.staged import staged_space
    from costmodel.sizes import check_choice

    check_choice("stride rule", of.stride_rule, STRIDE_RULES)
    check_choice("between", of.between, BETWEEN)
    if len(of.width_rules) > 1:
        raise ValueError(
            f"a network of your own is searched with one width rule, got {', '.join(of.width_rules)}"
        )
    name = found.network.name.text
    subject = SearchedNetwork(name, found.network.module, positional(found), of.stride_rule, of.between)
    doing = f"{name} can't be converted"
    stages = run_foreign(doing, stages_of, subject, of.stages)
    space = staged_space(
        len(stages.names),
        reading.alphas(of.alpha),
        reading.betas(of.beta),
        PATH_SUBSETS if of.paths is None else [reading.path_names(text) for text in of.paths],
        width_rule=of.width_rules[0],
        per_stage=of.per_stage,
        constraints=of.constraints,
    )
    return run_foreign(doing, staged_network, subject, stages, traced(found), space), space


def said_inputs(found: NetworkOnInputs) -> Any:
    """Return the shapes of the inputs, for the name of a converted network."""
    shapes = [tuple(value.shape) for value in positional(found)]
    return shapes[0] if len(shapes) == 1 else tuple(shapes)


def show_own(
    front: StagedFound,
    title: str,
    rules: Mapping[str, Any],
    question: Mapping[str, Any],
    rows: int,
    format: Format,
) -> None:
    """Show the stages and the front."""
    from costmodel.search.staged_table import staged_front_table, stages_table

    stages = stages_table(front.network)
    table_of = partial(staged_front_table, front, rules=rules)
    show_front(front, table_of, 'cost "{network}"', question, rows, format, title=[title], before=[stages])


def show_front(
    front: Found | StagedFound,
    table_of: Callable[[Sequence[int]], Table],
    command: str,
    said: Mapping[str, Any],
    rows: int,
    format: Format,
    *,
    title: Sequence[str] = (),
    before: Sequence[Table] = (),
) -> Sequence[int]:
    """Show a front, and return the positions that are shown: `rows` of them, in JSON and CSV all.

    On a terminal, a command for each point follows in one line, however long, so that it can be pasted;
    `command` is its template, filled from the point's row.
    """
    shown: Sequence[int] = front.spread(rows)  # also checks the number, whatever the format
    if format in (Format.json, Format.csv):
        shown = range(len(front))
    table = table_of(shown)
    show("search", [*before, table], format, said, title, [NOTE])
    if format is Format.table:
        print()
        for row in table.rows:
            print(f"{row['position']:>6,}  pwoct-cost {command.format(**row)}")
    if len(shown) < len(front):
        every = f"{len(front):,} points, spread over the front; --format json or csv has them all"
        say(f"{len(shown)} of {every}")
    return shown


def without_built_in(question: Question) -> Question:
    """Reject options that apply only to built-in networks."""
    return question.without("applies to built-in networks, not to one of your own", BUILT_IN)

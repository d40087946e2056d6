"""Commands that the program prints, and the networks of its results, give the same when run."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def printed() -> list[list[str]]:
    """Commands that `search` prints, of a space in which every option differs from its default."""
    from costmodel.networks.resnet import resnet
    from costmodel.networks.wording import options_of

    nets = [
        resnet(8),
        resnet(8, alpha="1/2", paths=["HL"], width=8, classes=5, size=(16, 24), stride_rule="A"),
        resnet(8, alpha=["1/2", "1/4", "0"], beta=[2, "8/3", 2], paths=[["HL"], ["LL"], []], between="bn"),
        resnet(8, alpha="1/2", paths=["HL"], width_rule="mean", in_channels=1, size=16, width=4),
    ]
    return [shlex.split(options_of(net)) for net in nets]


def test_search_prints_commands_that_run(pwoct_cost: Run) -> None:
    shown = pwoct_cost(
        *("search", "resnet8,resnet14", "--width", "4,8", "--maximise", "width,depth", "--per-stage"),
        *("--alpha", "0,1/2", "--paths", "HL"),
    )
    lines = [line.partition("pwoct-cost ")[2] for line in shown.out.splitlines() if "  pwoct-cost " in line]
    assert len(lines) > 3
    for line in lines[:3]:
        assert pwoct_cost(*shlex.split(line)).code == 0


def test_what_is_printed_runs_in_every_command(pwoct_cost: Run, printed: list[list[str]]) -> None:
    for words in printed:
        assert pwoct_cost(*words).code == 0
        assert pwoct_cost("diff", shlex.join(words), "resnet8").code == 0
        assert pwoct_cost("verify", *words).code == 0
        # Told apart from what is not understood by the next complaint.
        assert "plan folded has no gradients" in pwoct_cost("bench", *words, "--plan", "folded").err
        refused = pwoct_cost("train", *words, "--dataset", "synthetic", "--dry-run", "--runs", "nowhere")
        fits = {"--size", "--in-channels", "--classes"}.isdisjoint(words)
        assert refused.code == 0 if fits else "does not match the images" in refused.err


@pytest.mark.parametrize("command", ["search resnet8 --alpha 1/2 --paths HL", "sweep resnet8 --alpha 1/2"])
def test_the_network_of_a_result_is_that_of_its_options(pwoct_cost: Run, command: str) -> None:
    document = pwoct_cost(*command.split(), "--format", "json").json
    again = pwoct_cost(*shlex.split(document["command_line"])[1:]).json
    assert again == document

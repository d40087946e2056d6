"""`pwoct-cost search` for a network of the user's own."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

import pytest

from tests.commands.small_net import NET
from tests.conftest import Ran

Run = Callable[..., Ran]

SPACE = ("--alpha", "0,1/4,1/2", "--beta", "2", "--paths", "none", "--paths", "HH")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("nets") / "net.py"
    file.write_text(NET)
    return f"{file}:Net"


def test_each_found_network_costs_what_its_name_says(net: str, pwoct_cost: Run) -> None:
    asked = pwoct_cost("search", net, "--input", "1,3,8,8", *SPACE, "--per-stage", "--format", "json")
    assert asked.code == 0, asked.err
    assert [(row["title"], row["layers"]) for row in asked.json["stages"]] == [
        ("8x8", "one"),
        ("4x4", "two three"),
    ]
    assert asked.json["configurations"] == 6 * 6
    assert len(asked.json["front"]) > 3
    for row in asked.json["front"]:
        counted = pwoct_cost("cost", row["network"], "--input", "1,3,8,8", "--format", "json").json
        assert (counted["total"]["params"], counted["total"]["macs"]) == (row["params"], row["macs"])


def test_the_cost_of_a_network_by_hand(net: str, pwoct_cost: Run) -> None:
    asked = pwoct_cost(
        "search", net, "--input", "1,3,8,8", "--alpha", "1/2", "--paths", "none", "--format", "json"
    )
    # one, from 8 channels to 4 + 4; two to 8 + 8; three, the last, to 16.
    stem, one = 27 * 8 * 64, 9 * 8 * (4 * 64 + 4 * 16)
    two = 9 * (4 * 8 * 16 + 4 * 8 * 4 + 4 * 8 * 4 + 4 * 8 * 4)
    three = 9 * (8 * 16 * 16 + 8 * 16 * 4)
    (row,) = asked.json["front"]
    assert row["macs"] == stem + one + two + three
    assert row["params"] == 27 * 8 + 9 * 8 * 8 + 9 * 8 * 16 + 9 * 16 * 16 + 8 + 8 + 16 + 16


def test_lines_on_a_terminal_are_commands(net: str, pwoct_cost: Run) -> None:
    asked = pwoct_cost("search", net, "--input", "1,3,8,8", *SPACE, "--rows", "2", "--max-macs", "120k")
    assert asked.code == 0, asked.err
    assert "    1   8x8        1   one     one" in asked.out
    line = asked.out.splitlines()[-1].strip()
    ran = pwoct_cost(*shlex.split(line)[2:])
    assert ran.code == 0, ran.err


def test_the_rules_of_the_conversion_are_in_the_names(net: str, pwoct_cost: Run) -> None:
    rules = ("--stride-rule", "A", "--width-rule", "in", "--between", "bn")
    asked = pwoct_cost("search", net, "--input", "1,3,8,8", *SPACE, *rules, "--format", "json")
    row = asked.json["front"][-1]
    assert row["network"].endswith("width_rule='in', stride_rule='A', between='bn', inputs=(1, 3, 8, 8))")
    counted = json.loads(pwoct_cost("cost", row["network"], "--format", "json").out)
    assert (counted["total"]["params"], counted["total"]["macs"]) == (row["params"], row["macs"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "needs an input: --input 1,3,224,224"),
        (("--input", "1,3,8,8", "--size", "16"), "--size applies to built-in networks, not to one of your"),
        (("--input", "1,3,8,8", "--max-bytes", "1M"), "--max-bytes applies to built-in networks"),
        (
            ("--input", "1,3,8,8", "--minimise", "bytes"),
            "has only params, macs, activations, flops, got by",
        ),
        (("--input", "1,3,8,8", "--width-rule", "in,out"), "searched with one width rule, got in, out"),
        (("--input", "1,3,8,8", "--stages", "a.*"), "error: stages are resolution, modules or patterns of"),
        (("--input", "1,3,8,8", "--alpha", "2"), "alpha must be in [0, 1], got 2"),
        (("--input", "1,3,8,8", "--max-macs", "1k"), "no configuration fits: the nearest is --alpha 3/4 --b"),
        (("--input", "1,4,8,8"), "can't be converted: RuntimeError: "),
        (("resnet20", "--input", "1,3,8,8"), "search takes one network of your own at a time, got"),
    ],
)
def test_what_cannot_be_searched_is_one_line(
    net: str, pwoct_cost: Run, arguments: tuple[str, ...], message: str
) -> None:
    asked = pwoct_cost("search", net, *arguments)
    assert asked.code == 2
    assert message in asked.err
    assert asked.err.count("\n") == 1


def test_options_of_own_networks_need_one(pwoct_cost: Run) -> None:
    asked = pwoct_cost("search", "resnet20", "--stages", "modules")
    assert (asked.code, asked.err) == (2, "pwoct-cost: error: --stages needs a network of your own\n")


def test_a_converted_network_is_not_searched(pwoct_cost: Run) -> None:
    asked = pwoct_cost("search", "convert(resnet8, alpha=1/4)")
    assert asked.code == 2
    assert "search tries conversions: name the original, not convert(resnet8, alpha=1/4)" in asked.err

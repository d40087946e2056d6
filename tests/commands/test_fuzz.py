"""Thousands of argument lists: the calculator answers or says what is wrong, and does nothing else."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cli

NUMBERS = ["0", "1", "2", "3", "7", "16", "64", "1000003", "-1", "1.5", "1e3", "", "x", "٣", "2**3", "0x10"]
RATIOS = [
    *("0", "1", "1/4", "0.25", "1/3", "0.8", "2", "-1/4", "3/2", "1/0", "nan", "inf", "1e-300", "abc", ""),
    *(
        "0:1:1/4",
        "0:1",
        "1:0:1/4",
        "0:1:0",
        "0:1:1e-9",
        "0,1/4",
        "1/4,,",
        "1/8+1/4+1/2",
        "1/4+1/2",
        "+",
        "a+b+c",
    ),
]
SIZES = ["32", "1", "33", "5x7", "32x32", "0", "-3", "32x", "x", "1e3", "99999999999", "", "3 x 3"]
PATHS = ["all", "none", "HH", "hl,LH", "HL,LH,LL", "HL+none+all", "HL+LH", "XX", "", "HH,,LL", "all,HH"]
WORDS = [
    "",
    "-",
    "--",
    "out",
    "mean",
    "C",
    "A",
    "B",
    "bn",
    "bn_relu",
    "none",
    "resnet20",
    "résnet",
    "\x00",
    "%s",
]

OPTIONS: dict[str, list[str]] = {
    "--alpha": RATIOS,
    "--beta": [*RATIOS, "4", "8/3", "1:4:1"],
    "--paths": PATHS,
    "--model": ["resnet20", "resnet8", "resnet56", "resnet110", "resnet", "resnet1", "vgg16", *WORDS],
    "--op": ["standard", "pointwise", "depthwise", "separable", "octave", "pwise", *WORDS],
    "--c-in": NUMBERS,
    "--c-out": NUMBERS,
    "--size": SIZES,
    "--kernel": SIZES,
    "--stride": NUMBERS,
    "--dilation": NUMBERS,
    "--groups": NUMBERS,
    "--alpha-in": RATIOS,
    "--alpha-out": RATIOS,
    "--width-rule": [*WORDS, "in", "min"],
    "--stride-rule": WORDS,
    "--between": WORDS,
    "--width": NUMBERS,
    "--classes": NUMBERS,
    "--dtype": ["float32", "int8", *WORDS],
    "--unit": ["mac", "flop", *WORDS],
    "--count": ["conv", "conv,linear", "bn,add,pool", "CONV", *WORDS],
    "--format": ["table", "json", "csv", "md", "latex", *WORDS],
}
FLAGS = [
    "--bias",
    "--per-layer",
    "--version",
    "--help",
    "--no-such-option",
    "explain",
    "octave",
    "surplus",
    "--",
]

option = st.sampled_from(sorted(OPTIONS)).flatmap(
    lambda name: st.sampled_from(OPTIONS[name]).map(lambda value: [name, value])
)
argument_lists = st.lists(
    st.one_of(option, option, option, st.sampled_from(FLAGS).map(lambda f: [f])), max_size=7
)


def leave_code(arguments: list[str]) -> int | str | None:
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.raises(SystemExit) as left,
    ):
        cli.main(arguments)
    assert "Traceback" not in err.getvalue()
    return left.value.code


@settings(max_examples=2500)
@given(argument_lists)
def test_the_calculator_leaves_with_0_or_2(parts: list[list[str]]) -> None:
    assert leave_code([word for part in parts for word in part]) in (None, 0, 2)

"""What the calculator refuses, each in one clear line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alpha", "1.5"], "alpha must be in [0, 1], got 1.5"),
        (["--alpha", "-1/4"], "alpha must be in [0, 1], got -1/4"),
        (["--alpha", "abc"], "alpha must be a number such as 0.25 or 1/4, got abc"),
        (["--alpha", "1/0"], "alpha must be a number such as 0.25 or 1/4, got 1/0"),
        (["--alpha", ""], "alpha must be a number such as 0.25 or 1/4, got"),
        (["--alpha", "nan"], "alpha must be a number such as 0.25 or 1/4, got nan"),
        (["--alpha", "0:1"], "a range is start:stop:step, such as 0:0.75:0.125, got 0:1"),
        (["--alpha", "1:0:1/4"], "needs a positive step and stop >= start, got 1:0:1/4"),
        (["--alpha", "0:1:1e-9"], "a range may have at most 10,000 values, got 1,000,000,001"),
        (["--alpha", "1/4+1/2"], "need one value, or three (one per stage) joined by +, got 2: 1/4+1/2"),
        (["--beta", "0.5"], "beta must be at least 1, got 0.5"),
        (["--alpha", "1/4", "--paths", "LL", "--beta", "17"], "beta must be at most"),
        (["--paths", "HH,XX"], "paths must be some of HH,HL,LH,LL, all or none, got HH,XX"),
        (["--paths", "all,HH"], "paths must be some of HH,HL,LH,LL, all or none, got all,HH"),
        (["--model", "resnet57"], "unknown model resnet57"),
        (["--model", "resnet57"], "did you mean resnet"),
        (["--model", "resnet0"], "unknown model resnet0"),
        (["--size", "0"], "size must be a positive whole number such as 32, or two such as 32x48, got 0"),
        (["--kernel", "0"], "kernel must be a positive whole number such as 3, or two such as 3x5, got 0"),
        (["--size", "32x"], "size must be a positive whole number"),
        (["--kernel", "2", "--alpha", "1/4"], "octave layers need an odd kernel, got 2x2"),
        (["--width", "0"], "width must be at least 1, got 0"),
        (["--classes", "0"], "classes must be at least 1, got 0"),
        (["--alpha", "1/4", "--alpha-in", "2"], "alpha-in must be in [0, 1], got 2"),
        (["--model", "resnet2"], "N = 6n + 2, n >= 1"),
        (["--c-in", "0"], "c_in must be at least 1, got 0"),
        (["--stride", "0"], "stride must be at least 1, got 0"),
        (["--groups", "3"], "groups must divide the channels 16 -> 16, got 3"),
        (["--format", "xml"], "xml"),
        (["--unit", "tops"], "unit must be mac or flop, got tops"),
        (["--count", "conv,dropout"], "count must be some of conv,linear"),
        (["--op", "standard", "--dtype", "int3"], "dtype must be one of float64"),
        (
            ["--op", "transpose"],
            "standard, pointwise, depthwise, separable, octave, pwise, transposed, got transpose",
        ),
        (["--op", "winograd", "--dim", "3"], "op must be one of standard"),
        (["--op", "pointwise", "--kernel", "5"], "a pointwise layer is 1x1"),
        (
            ["--op", "standard", "--paths", "HH"],
            "--paths does not apply here: a standard layer has no branches",
        ),
        (["--op", "octave", "--alpha", "1/4", "--beta", "4"], "an octave layer has no bottlenecks"),
        (["--op", "pwise", "--alpha", "1/4,1/2"], "it needs one alpha and one beta"),
        (["--op", "standard", "--per-layer"], "--per-layer does not apply here"),
        (["--alpha", "0,1/4", "--per-layer"], "--per-layer does not apply here"),
        (["--alpha", "0,1/4", "--groups", "7"], "--groups does not apply here"),
        (["--alpha", "0,1/4", "--alpha-in", "7"], "--alpha-in does not apply here"),
        (["--alpha", "1/8+1/4+1/2", "--c-in", "-5"], "--c-in does not apply here"),
        (["--alpha", "1/4", "--paths", "HL+LH+LL", "--kernel", "4"], "--kernel does not apply here"),
        (["--dtype", "float16"], "--dtype does not apply here: bytes are shown for --op"),
        (
            ["--width-rule", "max", "--alpha", "1/4", "--paths", "LL"],
            "width rule must be one of out, in, min, mean",
        ),
        (["--stride-rule", "D"], "stride rule must be one of A, B, C, got D"),
        (["--between", "relu"], "between must be one of none, bn, bn_relu, got relu"),
        (["--alpha", "1/4", "explain", "octave"], "--alpha before the subcommand explain"),
        (["nonsense"], "No such command 'nonsense'."),
        (["--", "--alpha", "0"], "No such command '--alpha'."),
        (["ResNet-20"], "pwoct-cost --model resnet20, or to a command: pwoct-cost cost resnet20."),
        (["net.py:Net(3)"], "given to a command: pwoct-cost cost 'net.py:Net(3)'."),
        (["serach"], "Did you mean 'search'?"),
        (["explian"], "explain"),
        (["--alhpa", "1/4"], "--alpha"),
        (["--c-in", "many"], "many"),
    ],
)
def test_bad_input_is_one_clear_line(pwoct_cost: Run, arguments: list[str], message: str) -> None:
    run = pwoct_cost(*arguments)
    errors = [line for line in run.err.splitlines() if ": warning: " not in line]
    assert run.code == 2
    assert run.out == ""
    assert len(errors) == 1
    assert errors[0].startswith("pwoct-cost: error: ")
    assert message in errors[0]

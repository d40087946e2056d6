"""Symbols as text: one name for each axis, and the short form for images."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from costmodel.models.inputs import Inputs
from costmodel.models.inputs import parse as read
from costmodel.models.symbols import default, parse


@pytest.mark.parametrize(
    ("inputs", "symbols", "axes"),
    [
        (["2,3,8,8"], ["n,h,w"], {0: {0: "n", 2: "h", 3: "w"}}),
        (["2,3,8,8"], ["n,_,h,w"], {0: {0: "n", 2: "h", 3: "w"}}),
        (["2,3,8,8"], ["n,c,h,w"], {0: {0: "n", 1: "c", 2: "h", 3: "w"}}),
        (["2,3,8,8"], ["_,_,s,s"], {0: {2: "s", 3: "s"}}),
        (["2,5,8"], ["n,h,w"], {0: {0: "n", 1: "h", 2: "w"}}),
        (["2,5,8"], ["b,s,_"], {0: {0: "b", 1: "s"}}),
        (["1,3,4,8,8"], ["n,_,t,h,w"], {0: {0: "n", 2: "t", 3: "h", 4: "w"}}),
        (["7"], ["k"], {0: {0: "k"}}),
        (["2,5,8", "2,5"], ["b,s,_", "b,s"], {0: {0: "b", 1: "s"}, 1: {0: "b", 1: "s"}}),
        (["x=2,8", "ids=2,5:int64<9"], ["ids=_,s", "x=n,k"], {"ids": {1: "s"}, "x": {0: "n", 1: "k"}}),
    ],
)
def test_names_stand_for_axes_in_their_order(
    inputs: list[str], symbols: list[str], axes: dict[int | str, dict[int, str]]
) -> None:
    assert parse(symbols, read(inputs)) == axes


@pytest.mark.parametrize(
    ("inputs", "symbols", "message"),
    [
        (["2,3,8,8"], ["n,s"], "an input of 2,3,8,8 needs 4 symbols, .*, such as n,_,h,w; got n,s"),
        (["2,3,8,8"], ["b,c,h"], "an input of 2,3,8,8 needs 4 symbols, .*, such as n,_,h,w; got b,c,h"),
        (["2,3,8,8"], ["n,c,t,h,w"], "an input of 2,3,8,8 needs 4 symbols, .*; got n,c,t,h,w"),
        (["2,5,8"], ["n,s"], "an input of 2,5,8 needs 3 symbols, .*, such as n,s,_; got n,s"),
        (["2,5,8"], ["n,_,h,w"], "an input of 2,5,8 needs 3 symbols, .*, such as n,_,h; got n,_,h,w"),
        (["2,5"], ["n,h,w"], "an input of 2,5 needs 2 symbols, .*, such as n,h; got n,h,w"),
        (["1,3,4,8,8"], ["n,h,w"], "an input of 1,3,4,8,8 needs 5 symbols, .*, such as n,h,w,_,_; got n,h,w"),
        (["scalar"], ["n"], "an input without axes has no symbols; got n"),
        (["2,5"], ["_,_"], "at least one axis must be a symbol; got _,_"),
        (["2,5"], ["n,in"], "in is a Python keyword, and can't name an axis; got n,in"),
        (["2,5"], ["n,s", "n,s"], "there is no input for the symbols n,s: the inputs are 2,5"),
        (["x=2,5"], ["x=n,s", "x=a,b"], "the symbols of an input are given once; got x=n,s x=a,b"),
        (["2,5"], ["s,s"], "s is one size, but the inputs have 2 and 5"),
        (["2,5"], ["n s"], "symbols are names of axes such as n,h,w or ids=b,s; got n s"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_full_form(
    inputs: list[str], symbols: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        parse(symbols, read(inputs))


NESTED = "symbols name axes of tensors that are arguments themselves"


@pytest.mark.parametrize(
    ("made", "text", "message"),
    [
        (
            ((), {"batch": {"ids": torch.zeros(2, 7)}}),
            "b,s",
            f"there is no input for the symbols b,s: the inputs are batch (dict); {NESTED}",
        ),
        (
            (([torch.zeros(2)],), {}),
            "b",
            f"there is no input for the symbols b: the inputs are argument 0 (list); {NESTED}",
        ),
        (
            ((), {"x": torch.zeros(2, 8)}),
            "b,_",
            "there is no input for the symbols b,_: the inputs are x (2,8)",
        ),
    ],
    ids=["dictionary", "list", "keyword"],
)
def test_inputs_that_a_function_makes_are_described(made: Any, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse([text], Inputs(made=made, source="net.py:make"))


def test_only_images_have_symbols_by_default() -> None:
    assert default(read(["1,3,8,8"])) == ["n,h,w"]
    for inputs in (["1,3,8"], ["x=1,3,8,8"], ["scalar"]):
        with pytest.raises(
            ValueError, match=r"^give --symbols, one name or _ for each axis: the inputs are \S+$"
        ):
            default(read(inputs))

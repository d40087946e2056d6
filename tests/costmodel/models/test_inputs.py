"""Inputs as text: shapes, dtypes, names, bounds; and inputs that a function makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from costmodel.models.inputs import made_by, parse


def test_inputs_have_shape_dtype_name_and_bound() -> None:
    inputs = parse(["1,3,8,8", "mask=2,64:bool", "ids=1,128:int64<5", "scalar:float64", "half=2:bfloat16"])
    args, kwargs = inputs.values()
    assert [(tuple(t.shape), t.dtype) for t in args] == [((1, 3, 8, 8), torch.float32), ((), torch.float64)]
    assert {name: (tuple(t.shape), t.dtype) for name, t in kwargs.items()} == {
        "mask": ((2, 64), torch.bool),
        "ids": ((1, 128), torch.int64),
        "half": ((2,), torch.bfloat16),
    }
    assert set(kwargs["ids"].unique().tolist()) == {0, 1, 2, 3, 4}
    assert inputs.shapes == ["1x3x8x8", "scalar", "2x64", "1x128", "2"]
    assert str(inputs) == "1,3,8,8 mask=2,64:bool ids=1,128:int64<5 scalar:float64 half=2:bfloat16"


def test_a_bound_alone_means_integers_and_inputs_without_data_are_on_meta() -> None:
    (ids,), _ = parse(["2,3<7"]).values("meta")
    assert (ids.dtype, ids.device.type) == (torch.int64, "meta")


def test_values_are_the_same_each_time() -> None:
    inputs = parse(["2,3", "2,3<9"])
    assert all(map(torch.equal, inputs.values()[0], inputs.values()[0]))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([""], "an input is a shape such as 1,3,224,224, .*; got nothing"),
        (["1x3"], "an input is a shape such as .*; got 1x3"),
        (["1, 3"], "an input is a shape such as .*; got 1, 3"),
        (["0,3"], "an input has sizes of 1 or more, and fewer than 2\\^48 elements; got 0,3"),
        (["9999999999"], "an input has sizes of 1 or more, .*"),
        (["1000000,1000000,1000000"], "an input has sizes of 1 or more, .*"),
        (["1,3:float"], "the dtype of an input is one of float64, .*; got float in 1,3:float"),
        (["1,3:float32<5"], "only integers have a bound, .*; got 1,3:float32<5"),
        (["1,3:int8<129"], "the bound of an input of int8 is from 1 to 128; got 1,3:int8<129"),
        (["x=1", "x=2"], "each input needs its own name, got x=1 x=2"),
    ],
)
def test_what_is_no_input_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        parse(texts)


SOURCE = """
import torch
def one(): return torch.zeros(1, 3)
def several(n=2): return [torch.zeros(n, 3), {"deep": torch.zeros(2)}]
def named(): return {"x": torch.zeros(4)}
def both(): return (torch.zeros(1),), {"x": torch.zeros(2)}
def none(): return 3
def fails(): raise KeyError("k")
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("inputs") / "make.py"
    path.write_text(SOURCE)
    return str(path)


@pytest.mark.parametrize(
    ("function", "shapes", "names"),
    [
        ("one", ["1x3"], []),
        ("several(5)", ["5x3", "2"], []),
        ("named", ["4"], ["x"]),
        ("both", ["1", "2"], ["x"]),
    ],
)
def test_a_function_makes_inputs(file: str, function: str, shapes: list[str], names: list[str]) -> None:
    inputs = made_by(f"{file}:{function}")
    assert inputs.shapes == shapes
    assert list(inputs.values()[1]) == names


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", r"must return tensors, got none"),
        ("fails", r"fails\(\) failed: KeyError: 'k' \(make.py, line 8\)"),
        ("missing", "has no missing; it has one, several, named, both, none, fails"),
    ],
)
def test_a_function_that_makes_no_inputs_is_refused(file: str, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made_by(f"{file}:{name}")

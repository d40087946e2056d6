"""Operators of other libraries: what they are called says nothing about what they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from costmodel.tracing import closed_form, trace
from costmodel.tracing.calls import TraceError

OURS = "pwoct_tests"
ONE, TWO = "(Tensor x) -> Tensor", "(Tensor x, Tensor w) -> Tensor"
# Names that torch has for products, look-ups, new tensors, views and element-wise functions.
SCHEMAS = {
    "dot": TWO,
    "linear": TWO,
    "convolution": TWO,
    "mm": TWO,
    "addmm": TWO,
    "gather": TWO,
    "deform_conv2d": TWO,
    "zeros_like": ONE,
    "new_zeros": ONE,
    "softmax": ONE,
    "relu": ONE,
    "copy": ONE,
    "embedding": ONE,
    "embedding_bag": TWO,
    "embedding_bag_prepack": ONE,
    "convolution_backward": ONE,
    "zero": "(Tensor(a!) x) -> ()",
    "log": "(Tensor x) -> ()",
    "make": "(int n) -> Tensor",
}


def _result(*inputs: Any) -> Tensor | None:
    return inputs[0].clone() if isinstance(inputs[0], Tensor) else torch.zeros(inputs[0], 8)


@pytest.fixture(scope="module", autouse=True)
def library() -> Iterator[None]:
    found = torch.library.Library(OURS, "DEF")
    for name, schema in SCHEMAS.items():
        found.define(name + schema)
        returns: Callable[..., Any] = (lambda *_: None) if schema.endswith("()") else _result
        found.impl(name, returns, "CompositeExplicitAutograd")
    yield
    found._destroy()


class Calls(nn.Module):
    """Calls an operator of that name, and then a layer of 2 x 8 x 8 MACs."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.layer = name, nn.Linear(8, 8, bias=False)

    def forward(self, x: Tensor) -> Any:
        operator = getattr(getattr(torch.ops, OURS), self.name)
        given: list[Any] = [x, self.layer.weight] if SCHEMAS[self.name] == TWO else [x]
        operator(*([2] if self.name == "make" else given))
        return self.layer(x)


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_operator_of_another_library_is_not_taken_for_one_of_torch(name: str) -> None:
    traced = trace(Calls(name), [torch.zeros(2, 8)])
    (call,) = traced.uncovered()
    assert (call.operator, call.kind) == (f"{OURS}.{name}", "unknown")
    assert call.reason == f"no formula for {OURS}.{name}"
    assert (traced.total().macs, traced.total().element_ops) == (2 * 8 * 8, 0)


def test_nor_is_it_in_a_closed_form() -> None:
    form = closed_form(Calls("mm"), [torch.zeros(2, 8)], {0: {0: "n"}})
    assert str(form.total.macs) == "64*n"
    assert [call.operator for call in form.calls if call.reason] == [f"{OURS}.mm"]


def test_marks_of_the_profiler_compute_nothing() -> None:
    class Marked(Calls):
        def forward(self, x: Tensor) -> Any:
            with torch.profiler.record_function("here"):
                return self.layer(x)

    traced = trace(Marked("mm"), [torch.zeros(2, 8)])
    assert traced.uncovered() == ()
    assert (traced.total().macs, traced.total().calls) == (2 * 8 * 8, 1)


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch deprecates quantised tensors
def test_quantised_products_are_not_covered() -> None:
    class Quantised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.ao.nn.quantized.Linear(8, 8)

        def forward(self, x: Tensor) -> Any:
            return self.layer(torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)).dequantize()

    (call,) = trace(Quantised(), [torch.zeros(2, 8)]).uncovered()
    assert call.reason == "no formula for quantized.linear"


class InNumPy(nn.Module):
    def __init__(self, read: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.read = nn.Linear(8, 8), read

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x).detach()
        return torch.from_numpy(np.asarray(self.read(y)) @ np.ones((8, 4), np.float32))


READ: dict[str, Callable[[Tensor], Any]] = {
    "numpy": lambda x: x.cpu().numpy(),
    "__array__": np.asarray,
    "__dlpack__": np.from_dlpack,
}


@pytest.mark.parametrize("method", READ)
def test_what_numpy_computes_is_not_seen_and_said(method: str) -> None:
    found = trace(InNumPy(READ[method]), [torch.zeros(2, 8)])
    assert found.total().macs == 128
    (left,) = found.uncovered()
    assert (left.operator, left.module) == (f"Tensor.{method}", "")
    assert left.reason == "what another library computes from a tensor is not seen"


def test_python_numbers_are_no_other_library() -> None:
    class Adds(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * sum(x.flatten().tolist()) * x.sum().item()

    assert trace(Adds(), [torch.zeros(2, 8)]).uncovered() == ()


def test_a_progress_bar_hides_no_work() -> None:
    tqdm = pytest.importorskip("tqdm").tqdm

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            for _ in tqdm(range(4), disable=None):
                x = self.layer(x)
            return x

    if tqdm.monitor is not None:  # started by another test
        tqdm.monitor.exit()
        tqdm.monitor = None
    assert trace(Steps(), [torch.zeros(2, 8)]).total().macs == 4 * 128


@pytest.mark.parametrize("rows", [10, 25, 26, 40])
@pytest.mark.parametrize(
    "mode", ["use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"]
)
def test_distances_cost_the_same_by_either_method_of_torch(rows: int, mode: str) -> None:
    class Distances(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return torch.cdist(x, y, compute_mode=mode)

    found = trace(Distances(), [torch.zeros(2, rows, 5), torch.zeros(2, 7, 5)])
    assert (found.total().macs, found.uncovered()) == (2 * rows * 7 * 5, ())


def test_functions_that_an_operator_takes_are_refused_in_one_line() -> None:
    class Either(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cond(x.sum() > 0, self.a, self.b, (x,))

    with pytest.raises(
        TraceError, match=r"^\(model\) calls cond, which takes functions: what runs in them is"
    ):
        trace(Either(), [torch.zeros(2, 8)])

"""ONNX files as networks: what they cost, by hand and beside the modules that they were exported from."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from costmodel.models import load
from costmodel.models.onnx_file import onnx_module
from costmodel.tracing import closed_form, trace
from costmodel.tracing.calls import Trace
from pwoct.resnet import resnet

onnx = pytest.importorskip("onnx")
helper, numbers = onnx.helper, onnx.TensorProto
FLOAT, INT64 = numbers.FLOAT, numbers.INT64


def tensor(name: str, *sizes: int) -> Any:
    """A tensor of the file, without data."""
    return numbers(name=name, dims=sizes, data_type=FLOAT, raw_data=bytes(4 * int(torch.Size(sizes).numel())))


def values(name: str, *items: int) -> Any:
    """A constant of the file."""
    return helper.make_tensor(name, INT64, [len(items)], items)


def written(
    path: Path,
    nodes: Sequence[Any],
    shape: Sequence[Any],
    held: Sequence[Any],
    out: Sequence[Any] | None = None,
) -> str:
    """Write a graph from x to y."""
    x = helper.make_tensor_value_info("x", FLOAT, shape)
    y = helper.make_tensor_value_info("y", FLOAT, out)
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [y], held)), path)
    return str(path)


def traced(place: str) -> Trace:
    """What runs on the file's own input."""
    network = load(place)
    assert network.device == "meta"
    assert network.inputs is not None
    return trace(network.module, network.inputs.values("meta")[0])


N = helper.make_node
HW = 4 * 4
PRODUCTS = {
    "Conv": (N("Conv", "xwb", ["y"], pads=[1, 1, 1, 1], group=2), (2, 4, 4, 4), [(6, 2, 3, 3), (6,)],
             2 * 6 * HW * 2 * 9),
    "Conv, uneven padding": (N("Conv", "xw", ["y"], pads=[0, 0, 1, 1]), (1, 4, 4, 4), [(6, 4, 2, 2)],
                             6 * HW * 4 * 4),
    "Conv, SAME": (N("Conv", "xw", ["y"], auto_pad="SAME_UPPER", strides=[2, 2]), (1, 4, 5, 5),
                   [(6, 4, 3, 3)], 6 * 9 * 4 * 9),
    "Conv in one dimension": (N("Conv", "xw", ["y"]), (1, 4, 6), [(5, 4, 3)], 5 * 4 * 4 * 3),
    "ConvTranspose": (N("ConvTranspose", "xw", ["y"], strides=[2, 2]), (1, 4, 4, 4), [(4, 3, 2, 2)],
                      HW * 4 * 3 * 4),
    "Gemm": (N("Gemm", "xwb", ["y"], transB=1), (2, 7), [(5, 7), (5,)], 2 * 7 * 5),
    "Gemm, transposed": (N("Gemm", "xw", ["y"], transA=1), (7, 2), [(7, 5)], 2 * 7 * 5),
    "MatMul": (N("MatMul", "xw", ["y"]), (3, 2, 7), [(7, 5)], 3 * 2 * 7 * 5),
    "MatMul with itself": (N("MatMul", "xx", ["y"]), (3, 7, 7), [], 3 * 7**3),
    "Einsum": (N("Einsum", "xw", ["y"], equation="bij,jk->bik"), (3, 2, 7), [(7, 5)], 3 * 2 * 7 * 5),
    "LSTM": (N("LSTM", "xwrb", ["y"], hidden_size=6, direction="bidirectional"), (9, 2, 5),
             [(2, 24, 5), (2, 24, 6), (2, 48)], 2 * 9 * 2 * 24 * (5 + 6)),
    "GRU": (N("GRU", "xwr", ["y"], hidden_size=6), (9, 2, 5), [(1, 18, 5), (1, 18, 6)], 9 * 2 * 18 * 11),
    "RNN": (N("RNN", "xwr", ["y"], hidden_size=6), (9, 2, 5), [(1, 6, 5), (1, 6, 6)], 9 * 2 * 6 * 11),
    "Attention": (N("Attention", "xxx", ["y"], q_num_heads=4, kv_num_heads=4), (2, 5, 16), [],
                  2 * 5 * 5 * 32),
    "Attention, grouped heads": (N("Attention", ["x", "k", "v"], ["y"], q_num_heads=4, kv_num_heads=2),
                                 (2, 5, 16), [(2, 7, 8), (2, 7, 6)], 2 * 4 * 5 * 7 * (4 + 3)),
    "Attention, with a past": (N("Attention", ["x", "x", "x", "", "k", "v"], ["y", "pk", "pv"], is_causal=1),
                               (2, 4, 5, 8), [(2, 4, 3, 8), (2, 4, 3, 8)], 2 * 4 * 5 * 8 * 16),
}  # fmt: skip


@pytest.mark.parametrize("case", PRODUCTS)
def test_what_multiplies_is_counted_by_its_shapes(tmp_path: Path, case: str) -> None:
    node, shape, sizes, macs = PRODUCTS[case]
    held = [
        tensor(name, *one) for name, one in zip("wb" if "R" not in case[:3] else "wr", sizes, strict=False)
    ]
    held = [
        tensor(name, *one)
        for name, one in zip(node.input[len(node.input) - len(sizes) :], sizes, strict=True)
    ]
    found = traced(written(tmp_path / "net.onnx", [node], shape, held))
    assert found.total().macs == macs
    assert found.parameters.all == sum(torch.Size(one).numel() for one in sizes)
    assert found.uncovered() == ()


def exported(path: Path, module: nn.Module, *, optimize: bool) -> str:
    """Export a network on images of any size."""
    free = {0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(), (torch.zeros(2, 3, 32, 32),), str(path), dynamo=True, optimize=optimize,
                verbose=False, dynamic_shapes=(free,),
            )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    return str(path)


def test_an_exported_resnet_20_costs_what_the_module_costs(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    network = resnet(20)
    x = [torch.zeros(2, 3, 32, 32, device="meta")]
    plain = onnx_module(exported(tmp_path / "plain.onnx", network, optimize=False))
    found = trace(plain, x)
    assert (found.total().macs, found.parameters.all) == (2 * 40_813_184, 272_282)
    assert found.uncovered() == ()


def test_an_exported_resnet_8_has_biases_in_place_of_normalisations(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    network = resnet(8)
    x = [torch.zeros(2, 3, 32, 32, device="meta")]
    module = trace(network, x)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.bias)  # the exporter drops zeros, and ties equal biases
    folded = onnx_module(exported(tmp_path / "folded.onnx", network, optimize=True))
    channels = sum(part.num_features for part in network.modules() if isinstance(part, nn.BatchNorm2d))
    found = trace(folded, x)  # a scale and a shift become a bias
    assert found.total().macs == module.total().macs
    assert found.parameters.all == module.parameters.all - channels
    form = closed_form(folded, x, {0: {0: "n", 2: "h", 3: "w"}})
    assert form.at(n=3, h=33, w=46) == trace(folded, [torch.zeros(3, 3, 33, 46, device="meta")]).total()
    assert "stages.0.0.conv1" in {info.path for info in found.modules}


def test_shapes_that_are_computed_are_known(tmp_path: Path) -> None:
    nodes = [
        N("Shape", ["x"], ["s"]), N("Gather", ["s", "first"], ["n"]),
        N("Concat", ["n", "rest"], ["new"], axis=0), N("Reshape", ["x", "new"], ["flat"]),
        N("Gemm", ["flat", "w"], ["y"]),
    ]  # fmt: skip
    held = [values("first", 0), values("rest", -1), tensor("w", 48, 5)]
    place = written(tmp_path / "net.onnx", nodes, ("n", 3, 4, 4), held)
    assert traced(place).total().macs == 48 * 5
    form = closed_form(onnx_module(place), [torch.zeros(2, 3, 4, 4, device="meta")], {0: {0: "n"}})
    assert str(form.total.macs) == "240*n"


def test_an_operator_without_a_rule_is_listed_and_never_nothing(tmp_path: Path) -> None:
    node = N("RoiAlign", ["x", "rois", "which"], ["y"], output_height=2, output_width=2)
    held = [tensor("rois", 3, 4), values("which", 0, 0, 0)]
    found = traced(written(tmp_path / "net.onnx", [node], (1, 3, 8, 8), held, (3, 3, 2, 2)))
    assert [call.operator for call in found.uncovered()] == ["onnx.RoiAlign"]
    assert found.uncovered()[0].reason == "no formula for onnx.RoiAlign"


def test_external_data_are_not_read(tmp_path: Path) -> None:
    weight = numbers(name="w", dims=[5, 10**6], data_type=FLOAT, data_location=numbers.EXTERNAL)
    weight.external_data.add(key="location", value="absent.bin")
    place = written(tmp_path / "net.onnx", [N("Gemm", "xw", ["y"], transB=1)], (1, 10**6), [weight])
    found = traced(place)
    assert (found.total().macs, found.parameters.all) == (5 * 10**6, 5 * 10**6)


def test_tied_weights_statistics_and_numbers(tmp_path: Path) -> None:
    nodes = [
        N("Conv", ["x", "a.w"], ["p"]), N("Conv", ["p", "a.w"], ["q"]),
        N("BatchNormalization", ["q", *"sbmv"], ["r"]), N("Mul", ["r", "half"], ["y"]),
    ]  # fmt: skip
    held = [tensor("a.w", 3, 3, 1, 1), *(tensor(name, 3) for name in "sbmv"), tensor("half")]
    found = traced(written(tmp_path / "net.onnx", nodes, (1, 3, 4, 4), held))
    assert (found.parameters.all, found.parameters.buffers) == (9 + 6, 6)
    assert found.total().macs == 2 * 9 * 16


def test_a_tensor_under_another_name_is_the_same_tensor(tmp_path: Path) -> None:
    """Exporters name equal tensors anew: statistics of zeros and ones, here the scale of another layer."""
    nodes = [
        N("Identity", ["m"], ["n"]), N("Identity", ["n"], ["o"]),
        N("BatchNormalization", ["x", *"sbmv"], ["p"]),
        N("BatchNormalization", ["p", "s", "b", "o", "v"], ["q"]), N("Identity", ["q"], ["y"]),
    ]  # fmt: skip
    found = traced(written(tmp_path / "net.onnx", nodes, (1, 3, 4, 4), [tensor(name, 3) for name in "sbmv"]))
    assert (found.parameters.all, found.parameters.buffers) == (6, 6)
    assert found.uncovered() == ()


@pytest.mark.parametrize(("value", "parameters"), [(0.0, 0), (0.5, 4)])
def test_initial_states_of_zeros_are_no_parameters(tmp_path: Path, value: float, parameters: int) -> None:
    state = onnx.numpy_helper.from_array(np.full((1, 1, 4), value, np.float32), "h")
    nodes = [N("GRU", ["x", "w", "r", "", "", "h"], ["y"], hidden_size=4)]
    held = [tensor("w", 1, 12, 3), tensor("r", 1, 12, 4), state]
    found = traced(written(tmp_path / "net.onnx", nodes, (5, 1, 3), held))
    assert found.parameters.all == 12 * 7 + parameters


LOWEST = float(np.finfo(np.float32).min)


@pytest.mark.parametrize(
    ("added", "parameters"),
    [
        ([[0, -np.inf], [0, 0]], 0),
        ([[0, LOWEST], [0, 0]], 0),
        ([[-1e4, -np.inf], [0, -1e4]], 0),
        ([[0, -9999], [0, 0]], 4),  # such numbers may have been learned
        ([[0.5, -np.inf], [0, 0]], 4),
        ([[0, 0], [0, 0]], 4),  # a bias before training
    ],
)
def test_masks_are_no_parameters(tmp_path: Path, added: Any, parameters: int) -> None:
    held = [onnx.numpy_helper.from_array(np.array(added, np.float32), "m")]
    nodes = [N("Add", ["x", "m"], ["s"]), N("Softmax", ["s"], ["y"])]
    found = traced(written(tmp_path / "net.onnx", nodes, (2, 2), held))
    assert (found.parameters.all, found.parameters.buffers) == (parameters, 4 - parameters)


def test_an_exported_mask_is_no_parameter(tmp_path: Path) -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.register_buffer("mask", torch.ones(5, 5).tril() == 0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.attention(x, x, x, attn_mask=self.mask, need_weights=False)[0]
            return result

    module, x = Attends().eval(), torch.zeros(1, 5, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x,), str(tmp_path / "net.onnx"), dynamo=False)
    assert traced(str(tmp_path / "net.onnx")).parameters.all == trace(module, (x,)).parameters.all


def test_a_file_without_its_weights_has_as_many(tmp_path: Path) -> None:
    held = [numbers(name="b", dims=[3], data_type=FLOAT)]
    assert (
        traced(written(tmp_path / "net.onnx", [N("Add", ["x", "b"], ["y"])], (1, 3), held)).parameters.all
        == 3
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no file .*net.onnx"), (b"no", r".*net.onnx is not an ONNX file \(DecodeError\)"),
     (b"", ".*net.onnx is not an ONNX file: it has no operators")],
)  # fmt: skip
def test_what_is_no_file_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    place = tmp_path / "net.onnx"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{message}$"):
        load(str(place))


def test_inputs_that_do_not_fit_are_refused_with_their_names(tmp_path: Path) -> None:
    network = onnx_module(written(tmp_path / "net.onnx", [N("Relu", "x", ["y"])], (1, 3), []))
    with pytest.raises(TypeError, match=r"net\.onnx are x$"):
        network()

"""Networks from ONNX files: a module that runs the file's graph with torch's operators, without its weights.

Only the graph and the shapes of its tensors are read. External data are not read; of the data in the file,
only small constants that operators need as values are decoded, such as the new shape of a Reshape.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn

from costmodel.models.inputs import DTYPES, Input, Inputs
from costmodel.models.libraries import MissingLibraryError
from costmodel.models.onnx_node import Node, constant_operands
from costmodel.models.onnx_operators import compute

MOST_VALUES = 4096  # elements of the largest constant that is decoded
_STATISTICS = {"BatchNormalization": (3, 4)}  # operands that are buffers, not parameters
_STATES = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}  # initial states: buffers too, unless they were trained
_MASKED = -1e4  # what a mask adds to the scores of a softmax: this, or less
_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Where", "Mod", "Equal", "Less",
                         "Greater", "LessOrEqual", "GreaterOrEqual"})  # fmt: skip


def onnx_module(place: str) -> nn.Module:
    """Return the network of an .onnx file, with its tensors on the requested device.

    A node's module is named after the weights that it reads, or otherwise after the node. Floating-point
    tensors of the file are parameters, except the statistics of batch normalisation, initial states of zeros
    and masks (buffers), and constants: values that an operator needs, and single numbers in arithmetic.

    Raises MissingLibraryError without onnx, ValueError if the file does not exist or is not an ONNX file.
    """
    if not Path(place).is_file():
        raise ValueError(f"there is no file {place}")
    if find_spec("onnx") is None:
        raise MissingLibraryError("onnx")
    onnx: Any = importlib.import_module("onnx")
    try:
        model = onnx.load(place, load_external_data=False)
    except Exception as error:
        raise ValueError(f"{place} is not an ONNX file ({type(error).__name__})") from None
    if not model.graph.node:
        raise ValueError(f"{place} is not an ONNX file: it has no operators")
    return OnnxNetwork(model, place)


class OnnxNetwork(nn.Module):
    """The graph of an ONNX file. Only shapes are right: values may differ from those that ONNX defines."""

    def __init__(self, model: Any, place: str) -> None:
        super().__init__()
        self._tensors = _Tensors(model)
        self._steps: list[tuple[Node, list[str], list[str]]] = []
        self.place = place
        shapes = _inferred(model)
        for node in model.graph.node:
            if not self._tensors.is_renamed_by(node):
                self._add(node, shapes)
        own = [value for value in model.graph.input if value.name not in self._tensors.names]
        self._inputs = [value.name for value in own]
        self._outputs = [value.name for value in model.graph.output]
        self.example_inputs_of_the_file = _example(own)

    def _add(self, described: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
        node = Node(described, [shapes.get(name) for name in described.output], compute)
        path = ""
        for index, name in enumerate(described.input):
            if name not in self._tensors.names:
                continue
            held = self._tensors.operand(name, described, index)
            node.hold(index, held)
            path = path or (name.rpartition(".")[0] if isinstance(held, nn.Parameter) else "")
        self._place_at(path or described.name or described.output[0], node)
        self._steps.append((node, list(described.input), list(described.output)))

    def _place_at(self, path: str, node: Node) -> None:
        """Place a node by its name, `layer1.conv` in `layer1`; a name that is taken gets a number."""
        *around, last = [part or "_" for part in path.split(".")]
        parent: nn.Module = self
        for part in around:
            inner = parent._modules.get(part)
            if inner is None:
                inner = nn.Module()
                parent.add_module(part, inner)
            parent = inner
        name, number = last, 1
        while hasattr(parent, name):
            number += 1
            name = f"{last}_{number}"
        parent.add_module(name, node)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the nodes in file order; inputs are in file order too, or by name."""
        known: dict[str, Any] = {**dict(zip(self._inputs, args, strict=False)), **kwargs}
        missing = [name for name in self._inputs if name not in known]
        if missing or len(args) > len(self._inputs) or set(kwargs) - set(self._inputs):
            raise TypeError(f"the inputs of {self.place} are {', '.join(self._inputs)}")
        for node, inputs, outputs in self._steps:
            results = node(*(known.get(name) for name in inputs))
            known.update(zip(outputs, results, strict=False))
        results = [known[name] for name in self._outputs]
        return results[0] if len(results) == 1 else tuple(results)


class _Tensors:
    """The tensors of a file, created when they are used; a tied tensor is created once."""

    def __init__(self, model: Any) -> None:
        self._onnx: Any = importlib.import_module("onnx")
        self._described = {tensor.name: tensor for tensor in model.graph.initializer}
        self._made: dict[str, Any] = {}

    @property
    def names(self) -> Collection[str]:
        """The names of all tensors."""
        return self._described.keys()

    def is_renamed_by(self, node: Any) -> bool:
        """Return whether a node gives a tensor another name, as exporters do for those that are equal."""
        if node.op_type != "Identity" or node.input[0] not in self._described:
            return False
        self._described[node.output[0]] = self._described[node.input[0]]
        return True

    def operand(self, name: str, node: Any, index: int) -> Any:
        """Return a parameter, a buffer, or an array of known values."""
        described = self._described[name]
        sizes, dtype = tuple(described.dims), self._dtype(described.data_type)
        single = prod(sizes) == 1 and node.op_type in _ARITHMETIC
        floating = dtype.is_floating_point
        if (index in constant_operands(node.op_type) or single or not floating) and self._is_small(described):
            return self._onnx.numpy_helper.to_array(described)
        is_buffer = not floating or index in _STATISTICS.get(node.op_type, ())
        is_buffer = is_buffer or self._is_state(described, node, index) or self._is_mask(described, node)
        key = f"{described.name} {'buffer' if is_buffer else 'parameter'}"
        if key not in self._made:
            made = torch.zeros(sizes, dtype=dtype)
            self._made[key] = nn.Parameter(made) if key.endswith("parameter") else made
        return self._made[key]

    def _is_state(self, described: Any, node: Any, index: int) -> bool:
        is_state = index in _STATES.get(node.op_type, ()) and self._is_small(described)
        return is_state and not self._onnx.numpy_helper.to_array(described).any()

    def _is_mask(self, described: Any, node: Any) -> bool:
        """Return whether a tensor that is added has only zeros and numbers that a softmax makes zero."""
        if node.op_type != "Add" or described.external_data:
            return False
        try:
            values = self._onnx.numpy_helper.to_array(described)
        except ValueError:  # a file without its weights
            return False
        excludes = values <= _MASKED
        return bool(excludes.any() and not values[~excludes].any())

    def _is_small(self, described: Any) -> bool:
        return bool(prod(described.dims) <= MOST_VALUES and not described.external_data)

    def _dtype(self, number: int) -> torch.dtype:
        name = str(self._onnx.helper.tensor_dtype_to_np_dtype(number))
        return DTYPES.get(name, torch.float32 if "float" in name else torch.int64)


def _inferred(model: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes that onnx infers, if all sizes are numbers."""
    onnx: Any = importlib.import_module("onnx")
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except (onnx.shape_inference.InferenceError, ValueError):
        # Inconsistent or too large: operators without a rule then lack a shape, and are named.
        graph = model.graph
    values = [*graph.value_info, *graph.output]
    return {value.name: shape for value in values if (shape := _sizes(value)) is not None and all(shape)}


def _sizes(value: Any) -> tuple[int, ...] | None:
    """Return a value's sizes, with 0 for a size that is not fixed; None if the rank is unknown."""
    described = value.type.tensor_type
    if not described.HasField("shape"):
        return None
    return tuple(side.dim_value if side.HasField("dim_value") else 0 for side in described.shape.dim)


def _example(values: Sequence[Any]) -> Inputs | None:
    """Return the file's inputs, with a batch of 1 if it is free; None if other sizes are free."""
    found = list(_examples(values))
    return Inputs(tuple(found)) if found and len(found) == len(values) else None


def _examples(values: Sequence[Any]) -> Iterator[Input]:
    helper: Any = importlib.import_module("onnx").helper
    for value in values:
        sizes = _sizes(value)
        dtype = str(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
        if sizes is not None and all(sizes[1:]) and dtype in DTYPES:
            yield Input((sizes[0] or 1, *sizes[1:]) if sizes else (), dtype)

"""The kind of an operator call, decided by its schema, its tags and its tensors.

No list of names can be complete. An operator of another library is known only if torch has a decomposition of
it. An operator of torch that multiplies matrices must have a formula (see `pricing`);
every other operator must be shown to contain no product of tensors. It contains none if
it is a view by its storage or its schema, has no tensor inputs, is element-wise by its tag, is decomposed by
torch into such operators, or is computed from a single tensor and keeps its shape or reduces axes of it. A
single tensor alone shows nothing: a grid is made of it by a product with constants. Whole algorithms on one
tensor, such as a Fourier transform or a singular value decomposition, are excluded; the prefixes of their
names are known. What remains is "unknown".
"""

from __future__ import annotations

import torch

from costmodel.tracing.decomposition import is_free_of_products
from costmodel.tracing.raw import Raw

# Families of algorithms, by the prefixes of their names.
_ALGORITHMS = (
    "fft", "stft", "istft", "linalg", "cholesky", "svd", "geqrf", "qr", "orgqr", "ormqr", "lu", "triangular",
    "matrix", "inverse", "ctc", "lobpcg", "symeig", "eig", "lstsq", "pinverse", "householder", "prims",
    "histogramdd", "sparse", "foreach", "thnn", "mkldnn", "cudnn", "miopen", "flex",
)  # fmt: skip

# Words in a name that determine a kind; none of these operators contains products.
_WORDS = {
    "batch_norm": "normalisation",
    "layer_norm": "normalisation",
    "group_norm": "normalisation",
    "instance_norm": "normalisation",
    "rms_norm": "normalisation",
    "weight_norm": "normalisation",  # fused: a norm, a quotient, a product with a scale
    "softmax": "softmax",
    "unpool": "move",
    "pool": "pooling",
    "upsample": "interpolation",
    "grid_sampler": "interpolation",
    "embedding": "embedding",
    "scatter": "move",
    "gather": "move",
    "index": "move",
    "copy": "move",
    "_pad": "move",
    "shuffle": "move",
    "glu": "activation",
    "search": "elementwise",
    "bucket": "elementwise",
}

# Operators that move elements, and element-wise operators that are arithmetic rather than activations.
_MOVES = frozenset(
    {
        "cat", "stack", "clone", "contiguous", "where", "take", "put", "flip", "roll", "rot90", "repeat",
        "tril", "triu", "im2col", "col2im", "nonzero", "sort", "argsort", "topk", "diag_embed", "lift_fresh",
        "masked_select", "pixel_unshuffle", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
        "replication_pad1d", "replication_pad2d", "replication_pad3d", "unique", "_unique", "_unique2",
        "to_dense", "_to_dense", "to_sparse", "_to_sparse", "_to_sparse_csr", "_to_sparse_csc",
        "_to_sparse_bsr", "_to_sparse_bsc", "_coalesce", "_convert_indices_from_coo_to_csr",
        "repeat_interleave", "block_diag", "nonzero_static", "diagonal_backward", "_pack_padded_sequence",
    }
)  # fmt: skip
_ARITHMETIC = frozenset(
    {
        "mul", "div", "neg", "pow", "square", "reciprocal", "floor_divide", "remainder", "fmod", "abs",
        "sqrt", "rsqrt", "clamp", "clamp_min", "clamp_max", "eq", "ne", "lt", "le", "gt", "ge", "sign",
        "logical_and", "logical_or", "logical_not", "isnan", "isinf", "floor", "ceil", "round", "trunc",
        "bitwise_and", "bitwise_or", "bitwise_not", "masked_fill", "lerp", "addcmul", "addcdiv", "maximum",
        "minimum",
    }
)  # fmt: skip
# Reductions without an argument `dim`; the others are known by it.
_REDUCTIONS = frozenset(
    {
        "trace", "histc", "histogram", "bincount", "multinomial", "segment_reduce", "_is_all_true",
        "_is_any_true", "nll_loss_forward", "nll_loss2d_forward", "multi_margin_loss",
        "multilabel_margin_loss_forward",
    }
)  # fmt: skip
_MARKS = ("profiler", "record_function")  # namespaces of operators that only mark a place in a recording


def kind_of(raw: Raw) -> str:
    """Return the kind of a call without matrix products; "unknown" if it can't be determined."""
    if not raw.is_torchs:
        return _of_a_library(raw)
    if _is_view(raw):
        return "view"
    if _is_made(raw):
        return "random" if torch.Tag.nondeterministic_seeded in raw.operator.tags else "creation"
    if _is_algorithm(raw):
        return "reduction" if is_free_of_products(raw) else "unknown"
    for word, kind in _WORDS.items():
        if word in raw.base:
            return kind
    if raw.base in _MOVES:
        return "move"
    return _by_tensors(raw)


def _of_a_library(raw: Raw) -> str:
    """Return the kind of another library's operator: neither its name nor its tensors reveal it."""
    if raw.operator.namespace in _MARKS:
        return "view"
    return "reduction" if is_free_of_products(raw) else "unknown"


def _is_view(raw: Raw) -> bool:
    """Return whether the results are views of an operand, or there are none."""
    if torch.Tag.inplace_view in raw.operator.tags:
        return True
    if raw.operator._schema.is_mutable:
        return False
    returns = raw.operator._schema.returns
    if returns and all(result.alias_info is not None for result in returns):
        return True  # of a tensor with data too, which has another storage than its copy without data
    operands = {spec.storage for spec in raw.inputs}
    return all(spec.storage in operands for spec in raw.outputs)


def _is_made(raw: Raw) -> bool:
    """Return whether the values depend on no tensor's values: constants, random numbers, or a shape."""
    if not raw.inputs or raw.base.endswith("_like") or raw.base.startswith("new_"):
        return True
    if raw.base in ("zero", "fill"):
        return True
    fills = raw.operator._schema.is_mutable and len(raw.inputs) == 1
    return fills and torch.Tag.nondeterministic_seeded in raw.operator.tags


def _is_algorithm(raw: Raw) -> bool:
    return raw.base.strip("_").split("_")[0] in _ALGORITHMS


def _by_tensors(raw: Raw) -> str:
    numbers = [spec for spec in raw.inputs if spec.is_floating]
    if _is_pointwise(raw):
        return _elementwise(raw, len(numbers))
    tensors = numbers or raw.inputs  # sums and products of integers cost what those of other numbers do
    kind = _elementwise(raw, len(numbers)) if numbers else "elementwise"
    if len(tensors) > 1:
        return kind if is_free_of_products(raw) else "unknown"
    if "dim" not in raw.arguments and raw.outputs[0].shape == tensors[0].shape:
        return kind
    return "reduction" if _reduces(raw) else "unknown"


def _reduces(raw: Raw) -> bool:
    """Return whether an operator combines elements along axes: an overload of it has an argument `dim`."""
    packet = raw.operator.overloadpacket
    schemas = (getattr(packet, name)._schema for name in packet.overloads())
    return raw.base in _REDUCTIONS or any(a.name == "dim" for schema in schemas for a in schema.arguments)


def _is_pointwise(raw: Raw) -> bool:
    """Return whether an operator is element-wise by its tag, or by that of its out-of-place variant."""
    if torch.Tag.pointwise in raw.operator.tags:
        return True
    same = getattr(getattr(torch.ops.aten, raw.base, None), raw.operator._overloadname, None)
    return same is not None and torch.Tag.pointwise in same.tags


def _elementwise(raw: Raw, numbers: int) -> str:
    if raw.base in ("add", "sub", "rsub"):
        return "add"
    return "elementwise" if numbers > 1 or raw.base in _ARITHMETIC else "activation"

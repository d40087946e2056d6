"""The inner blocks of a stage are alike: checked on the built modules of every named depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from unittest.mock import patch

import sympy as sp
import torch
from torch import Tensor, nn

from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.operators.octave import PATHS
from pwoct import resnet as code

DEPTHS = (14, 20, 26, 32, 38, 44, 50, 56, 110)
DEEPEST = 1202
OPTIONS: Sequence[dict[str, Any]] = (
    {},
    {"alpha": "1/4", "beta": 2, "paths": list(PATHS)},
    {
        "alpha": ["1/8", "0", "3/8"],
        "beta": [2, 3, 4],
        "paths": [["HL"], ["HH"], ["LH", "LL"]],
        "between": "bn",
    },
)


def depth_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claim that blocks are alike; `every` includes the compressed networks of 1202 layers."""
    depths = ", ".join(map(str, DEPTHS))
    text = f"depths {depths} and {DEEPEST}{'' if every else ' (plain only)'}; {len(OPTIONS)} configurations"
    yield Claim("blocks of every named depth are those of ResNet-20", partial(_alike, every), "checked", text)


def _alike(every: bool) -> Iterator[Identity]:
    for index, options in enumerate(OPTIONS):
        depths = (*DEPTHS, DEEPEST) if every or not options else DEPTHS
        yield Identity(f"configuration {index + 1}", SizeDomain({}), partial(_pairs, depths, options))


def _pairs(depths: Sequence[int], options: dict[str, Any]) -> Iterator[Compared]:
    known = _stages(20, options)  # a first, an inner and a last block
    for depth in depths:
        count = (depth - 2) // 6
        stages = _stages(depth, options)
        for place, (blocks, three) in enumerate(zip(stages, known, strict=True)):
            name = f"resnet{depth}, stage {place + 1}"
            yield Compared(name, "blocks", sp.Integer(len(blocks)), sp.Integer(count))
            wanted = [three[0], *[three[1]] * (count - 2), three[2]]
            different = sum(block != other for block, other in zip(blocks, wanted, strict=False))
            yield Compared(name, "blocks unlike those of ResNet-20", sp.Integer(different), sp.Integer(0))


def _stages(depth: int, options: dict[str, Any]) -> list[list[Any]]:
    with torch.device("meta"), patch.object(code, "he_normal_", lambda _: None):
        model = code.resnet(depth, **options)
    stages: Any = model.stages
    return [[fingerprint(block) for block in stage] for stage in stages]


def fingerprint(value: Any) -> Any:
    """Return all that a module's forward pass can depend on: code, attributes, shapes, and those of children.

    Two modules with the same fingerprint run the same code on the same sizes.
    """
    if isinstance(value, Tensor):
        return "tensor", tuple(value.shape)
    if isinstance(value, nn.Module):
        # A forward function set on a single object would show up as an attribute.
        return type(value), fingerprint({k: v for k, v in vars(value).items() if "hook" not in k})
    if isinstance(value, dict):
        return tuple((key, fingerprint(inner)) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(fingerprint, value))
    return value if callable(value) else repr(value)

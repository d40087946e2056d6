"""The inner blocks of a stage are alike: checked on the built modules of every depth up to 110, and of more.

Every configuration is built at the depths of `FULL`. At the others the plain network is built, and one of the
other configurations in turn; `--all` builds all of them there too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import zip_longest
from typing import Any
from unittest.mock import patch

import sympy as sp
import torch
from torch import Tensor, nn

from costmodel.checks.proof.domain import SizeDomain
from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.operators.octave import PATHS
from pwoct import resnet as code

FULL = (14, 20, 26, 32, 38, 44, 50, 56, 110)
MOST = 110  # every depth up to this one
DEEPER = (152, 200, 302, 602)  # of plain networks, as DEEPEST is
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
    """Yield the claim that blocks are alike; `every` takes each configuration at each depth."""
    deeper = ", ".join(map(str, (*DEEPER, DEEPEST)))
    kinds = f"{len(OPTIONS)} configurations" if every else f"plain, and {len(OPTIONS) - 1} others in turn"
    text = f"every depth from 14 to {MOST} ({kinds}), and {deeper}{'' if every else ' (plain only)'}"
    yield Claim("blocks of every depth are those of ResNet-20", partial(_alike, every), "checked", text)


def _alike(every: bool) -> Iterator[Identity]:
    for index, options in enumerate(OPTIONS):
        depths = [depth for depth in range(14, MOST + 1, 6) if every or _is_built(index, depth)]
        depths += [*DEEPER, DEEPEST] if every or not options else []
        yield Identity(f"configuration {index + 1}", SizeDomain({}), partial(_pairs, depths, options))


def _is_built(index: int, depth: int) -> bool:
    """Return whether a configuration is built at a depth by default: a plain one always is."""
    return index == 0 or depth in FULL or depth // 6 % (len(OPTIONS) - 1) == index - 1


def _pairs(depths: Sequence[int], options: dict[str, Any]) -> Iterator[Compared]:
    known = _stages(20, options)  # a first, an inner and a last block
    for depth in depths:
        count = (depth - 2) // 6
        stages = _stages(depth, options)
        for place, (blocks, three) in enumerate(zip(stages, known, strict=True)):
            name = f"resnet{depth}, stage {place + 1}"
            yield Compared(name, "blocks", sp.Integer(len(blocks)), sp.Integer(count))
            wanted = [three[0], *[three[1]] * (count - 2), three[2]]
            different = sum(block != other for block, other in zip_longest(blocks, wanted))
            yield Compared(name, "blocks unlike those of ResNet-20", sp.Integer(different), sp.Integer(0))


def _stages(depth: int, options: dict[str, Any]) -> list[list[Any]]:
    with torch.device("meta"), _without_initial_weights():
        model = code.resnet(depth, **options)
    stages: Any = model.stages
    return [[fingerprint(block) for block in stage] for stage in stages]


@contextmanager
def _without_initial_weights() -> Iterator[None]:
    """Do not draw initial weights: they are not compared, and take most of the time of building."""
    with (
        patch.object(code, "he_normal_", lambda _: None),
        patch.object(nn.modules.conv._ConvNd, "reset_parameters", lambda _: None),
    ):
        yield


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

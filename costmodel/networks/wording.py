"""A network in words: as options of `pwoct-cost`, as values, and as the choices of its stages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from costmodel.networks.resnet import ResNetDesign
from costmodel.networks.stages import Stage, ordered
from costmodel.operators.octave import PATHS


def options_of(net: ResNetDesign) -> str:
    """Return the options that describe a network, without those that have their default values.

    >>> from costmodel.networks.resnet import resnet
    >>> options_of(resnet(56, alpha=["1/8", "1/4", 0], paths=["HL", "LL"]))
    '--model resnet56 --alpha 1/8+1/4+0 --beta 2 --paths HL,LL'
    """
    return " ".join(f"--{name} {value}" for name, value in _options(net).items() if value is not None)


def path_text(paths: Collection[str]) -> str:
    """Return a set of paths as an option's value.

    >>> path_text({"LL", "HL"}), path_text(()), path_text(("HH", "HL", "LH", "LL"))
    ('HL,LL', 'none', 'all')
    """
    return "all" if len(paths) == len(PATHS) else path_list(paths)


def path_list(paths: Collection[str]) -> str:
    """Return a set of paths as a list, with `all` written out.

    >>> path_list({"LL", "HL"}), path_list(()), path_list(("HH", "HL", "LH", "LL"))
    ('HL,LL', 'none', 'HH,HL,LH,LL')
    """
    return ",".join(ordered(paths)) or "none"


def joined(values: Iterable[str | Fraction]) -> str:
    """Return the values of the stages as one option's value: one value if all agree, else joined by +.

    >>> joined(["1/4", "1/4", "1/4"]), joined(["0", "1/4", "1/2"])
    ('1/4', '0+1/4+1/2')
    """
    texts = [str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else "+".join(texts)


class StageWords(NamedTuple):
    """The choices of a network's stages, in words."""

    alpha: str
    beta: str
    paths: str


def stage_words(stages: Sequence[Stage]) -> StageWords:
    """Return the choices of the stages, each formatted by `joined`.

    >>> from costmodel.networks.resnet import resnet
    >>> stage_words(resnet(20, alpha=["1/4", "1/4", 0], paths=["LL", "HL"]).stages)
    StageWords(alpha='1/4+1/4+0', beta='2', paths='HL,LL')
    """
    return StageWords(
        joined(stage.alpha for stage in stages),
        joined(stage.beta for stage in stages),
        joined(path_list(stage.paths) for stage in stages),
    )


def _options(net: ResNetDesign) -> dict[str, str | None]:
    backbone, stages = net.backbone, net.stages
    high, wide = backbone.size
    size = str(high) if high == wide else f"{high}x{wide}"
    compressed = net.is_compressed
    return {
        "model": f"resnet{backbone.depth}",
        "alpha": joined(stage.alpha for stage in stages) if any(stage.alpha for stage in stages) else None,
        "beta": joined(stage.beta for stage in stages) if compressed else None,
        "paths": joined(path_text(stage.paths) for stage in stages) if compressed else None,
        "width-rule": net.width_rule if compressed and net.width_rule != "out" else None,
        "stride-rule": backbone.stride_rule if backbone.stride_rule != "C" else None,
        "shortcut": backbone.shortcut if backbone.shortcut != "B" else None,
        "between": net.between if compressed and net.between != "none" else None,
        "width": str(backbone.width) if backbone.width != 16 else None,
        "classes": str(backbone.classes) if backbone.classes != 10 else None,
        "in-channels": str(backbone.in_channels) if backbone.in_channels != 3 else None,
        "size": size if size != "32" else None,
    }


def describe(stages: Sequence[Stage]) -> dict[str, Any]:
    """Return the choices of the stages as plain values, for JSON."""
    return {
        "alpha": [str(stage.alpha) for stage in stages],
        "beta": [str(stage.beta) for stage in stages],
        "paths": [ordered(stage.paths) for stage in stages],
    }


def kind_of(net: ResNetDesign) -> str:
    """Return plain, octave or pwise."""
    return "plain" if net.is_plain else "pwise" if net.is_compressed else "octave"

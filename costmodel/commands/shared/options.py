"""Reads the options of networks and layers, in one way for all commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from costmodel.commands.shared import reading
from costmodel.commands.shared.vocabulary import WORDS, canonical, fold
from costmodel.networks.resnet import ResNetDesign, named
from costmodel.operators.layer import Layer
from costmodel.operators.spatial import SpatialLayer
from costmodel.rounding import check_alpha, check_beta

Ratio: TypeAlias = Fraction | tuple[Fraction, ...]  # one value, or three: one per stage

DEFAULT_MODEL = "resnet56"
MODEL_ARGUMENT = "The network: resnet20, resnet56, ...; or --model."


class Choice(NamedTuple):
    """An alpha and a beta of a network."""

    alpha: Ratio
    beta: Ratio


@dataclass(frozen=True)
class NetworkOptions:
    """The options that describe networks, as typed: every alpha is combined with every beta."""

    alpha: str = "0"
    beta: str = "2"
    paths: str = "none"
    model: str = DEFAULT_MODEL
    width_rule: str = "out"
    stride_rule: str = "C"
    between: str = "none"
    shortcut: str = "B"
    width: int = 16
    classes: int = 10
    in_channels: int = 3
    size: str = "32"

    def choices(self) -> list[Choice]:
        """Return every combination of alphas and betas. Raises ValueError if one is out of range."""
        alphas = values(self.alpha, reading.alphas, check_alpha)
        betas = values(self.beta, reading.betas, check_beta)
        most, many = reading.MOST_CONFIGURATIONS, len(alphas) * len(betas)
        if many > most:
            raise ValueError(f"at most {most:,} configurations fit in a table, got {many:,}")
        return [Choice(alpha, beta) for alpha in alphas for beta in betas]

    def differs_by_stage(self, choice: Choice) -> bool:
        """Return whether the stages of the network differ in their choices."""
        paths = reading.per_stage(self.paths, reading.path_names)
        return any(isinstance(value, tuple) for value in (*choice, paths))

    def network(self, choice: Choice) -> ResNetDesign:
        """Return the network with an alpha and a beta. Raises ValueError if it cannot exist."""
        return self._named(
            alpha=choice.alpha, beta=choice.beta, paths=reading.per_stage(self.paths, reading.path_names)
        )

    def networks(self) -> list[ResNetDesign]:
        """Return the networks of all choices."""
        return [self.network(choice) for choice in self.choices()]

    def only(self) -> ResNetDesign:
        """Return the one network described. Raises ValueError if there are several."""
        return self.network(self.only_choice())

    def only_choice(self) -> Choice:
        """Return the single alpha and beta. Raises ValueError if there are several."""
        choice, *more = self.choices()
        if more:
            raise ValueError(
                f"one network needs one alpha and one beta, got --alpha {self.alpha} and --beta {self.beta}"
            )
        return choice

    def plain(self) -> ResNetDesign:
        """Return the network without octave layers."""
        return self._named()

    def _named(self, **compression: Any) -> ResNetDesign:
        return named(self.model, **compression, **self._rest())

    def read(self) -> dict[str, Any]:
        """Return the arguments of `costmodel.networks.resnet` for the one network described.

        >>> NetworkOptions(alpha="1/4").read()["alpha"]
        Fraction(1, 4)
        """
        alpha, beta = self.only_choice()
        paths = reading.per_stage(self.paths, reading.path_names)
        return {"alpha": alpha, "beta": beta, "paths": paths, **self._rest()}

    def _rest(self) -> dict[str, Any]:
        return {
            "width_rule": self.width_rule,
            "stride_rule": self.stride_rule,
            "between": self.between,
            "shortcut": self.shortcut,
            "width": self.width,
            "classes": self.classes,
            "in_channels": self.in_channels,
            "size": reading.sides(self.size, "size"),
        }


# What describes a built-in network, besides its name.
NETWORK_FIELDS = tuple(field.name for field in fields(NetworkOptions) if field.name != "model")


@dataclass(frozen=True)
class LayerOptions:
    """The options that describe one layer, as typed; those shared with a network come from its options."""

    c_in: int = 16
    c_out: int | None = None
    kernel: str = "3"
    stride: int = 1
    padding: str | None = None
    dilation: int = 1
    groups: int = 1
    bias: bool = False
    alpha_in: str | None = None
    alpha_out: str | None = None
    batch: int = 1
    depthwise: bool = False
    exchange: bool = False
    dim: int = 2
    output_padding: str | None = None

    def layer(self, of: NetworkOptions, alpha: Fraction, beta: Fraction) -> Layer:
        """Return the layer with an alpha and a beta. Raises ValueError if it cannot exist."""
        return Layer(
            c_in=self.c_in,
            c_out=16 if self.c_out is None else self.c_out,
            size=reading.sides(of.size, "size"),
            kernel=reading.sides(self.kernel, "kernel", ("3", "3x5")),
            stride=self.stride,
            padding=None if self.padding is None else self._pair(self.padding, "padding"),
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias,
            alpha_in=alpha if self.alpha_in is None else check_alpha(self.alpha_in, "alpha-in"),
            alpha_out=alpha if self.alpha_out is None else check_alpha(self.alpha_out, "alpha-out"),
            beta=beta,
            paths=reading.path_names(of.paths),
            width_rule=of.width_rule,
            stride_rule=of.stride_rule,
            between=of.between,
            batch=self.batch,
            depthwise=self.depthwise,
            exchange=self.exchange,
        )

    def spatial(self, size: str, *, transposed: bool) -> SpatialLayer:
        """Return the layer in its number of dimensions. Raises ValueError if it cannot exist."""
        return SpatialLayer(
            c_in=self.c_in,
            c_out=16 if self.c_out is None else self.c_out,
            size=reading.lengths(size, "size", self.dim),
            kernel=reading.lengths(self.kernel, "kernel", self.dim),
            stride=self.stride,
            padding=self._paddings(self.padding, "padding"),
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias,
            batch=self.batch,
            transposed=transposed,
            output_padding=self._paddings(self.output_padding, "output-padding"),
        )

    def _paddings(self, text: str | None, name: str) -> tuple[int, ...] | None:
        return None if text is None else reading.lengths(text, name, self.dim, least=0)

    def _pair(self, text: str, name: str) -> tuple[int, int]:
        high, wide = reading.lengths(text, name, 2, least=0)
        return high, wide


def values(
    text: str, read_list: Callable[[str], Sequence[Fraction]], read_one: Callable[[str], Fraction]
) -> list[Ratio]:
    """Read a list or a range of ratios, or three joined by +, one per stage.

    >>> values("1/8,1/4", reading.alphas, check_alpha), values("0+1/4+1/2", reading.alphas, check_alpha)
    ([Fraction(1, 8), Fraction(1, 4)], [(Fraction(0, 1), Fraction(1, 4), Fraction(1, 2))])
    """
    if reading.STAGE_SEPARATOR in text:
        return [reading.per_stage(text, read_one)]
    return list(read_list(text))


def given_model(argument: str | None, option: str | None) -> str | None:
    """Return the network named by the argument or by --model; None if neither is given.

    Raises ValueError if both are given and differ, or a name is empty.
    """
    if argument is not None and option is not None and argument != option:
        raise ValueError(f"one network is needed, got {argument} and --model {option}")
    name = argument if argument is not None else option
    if name is not None and not name.strip():
        raise ValueError("a network needs a name such as resnet56, net.py:Net() or timm:resnet50, got none")
    return name


def needed_model(argument: str | None, option: str | None) -> str:
    """Return the network named by the argument or by --model.

    Raises ValueError if none is given, or both are and differ.
    """
    name = given_model(argument, option)
    if name is None:
        raise ValueError("which network? Give resnet56, net.py:Net(), timm:resnet50, net.pt2 or net.onnx")
    return name


def read_network(text: str) -> ResNetDesign:
    """Read a network from one text: a model, resnet56 unless given, and options of the calculator.

    Raises ValueError if an option is unknown, is given twice or has no value.

    >>> read_network("resnet20 --alpha 1/4 --paths HL,LL").stages[0].alpha
    Fraction(1, 4)
    """
    words = [word for part in shlex.split(text) for word in part.split("=", 1)]
    if words[:1] == ["pwoct-cost"]:
        words = words[1:]
    if words and not words[0].startswith("--"):
        words = ["--model", *words]
    if len(words) % 2 or any(not word.startswith("--") for word in words[::2]):
        raise ValueError(f"a network is a model and options with a value each, got {text}")
    typed: dict[str, Any] = {}
    for word, value in zip(words[::2], words[1::2], strict=True):
        name = fold(word.removeprefix("--"))
        if name not in NETWORK_WORDS:
            raise ValueError(f"a network has the options {', '.join(NETWORK_WORDS)}, got {word}")
        if name.replace("-", "_") in typed:
            raise ValueError(f"--{name} is given twice: {text}")
        typed[name.replace("-", "_")] = _read(name, value)
    return NetworkOptions(**typed).only()


def _read(name: str, value: str) -> str | int:
    if isinstance(getattr(NetworkOptions, name.replace("-", "_")), int):
        return reading.whole(value, name)
    return canonical(WORDS[name], value) if WORDS[name].choices else value


NETWORK_WORDS = tuple(field.name.replace("_", "-") for field in fields(NetworkOptions))

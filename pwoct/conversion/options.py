"""The requested alpha, beta and paths of each convolution, for all or by name pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from pwoct.channels import WIDTH_RULES, Ratio, as_alpha, as_beta, as_paths, check_choice
from pwoct.octave import STRIDE_RULES
from pwoct.pwise_octave import BETWEEN

INITS = ("random", "pretrained")
KEYS = ("alpha", "beta", "paths")
PLAIN = "plain"

Layers = Mapping[str, "str | Mapping[str, Any]"]


@dataclass(frozen=True)
class LayerChoice:
    """The choice for one convolution."""

    alpha: Fraction
    beta: Fraction
    paths: tuple[str, ...]
    plain: bool = False

    @property
    def changes(self) -> bool:
        """Whether it asks for a change of the convolution."""
        return not self.plain and (self.alpha > 0 or "HH" in self.paths)


@dataclass(frozen=True)
class Options:
    """The options of a conversion that all layers share, and the choices by pattern."""

    default: LayerChoice
    layers: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    width_rule: str = "out"
    stride_rule: str = "C"
    between: str = "none"
    init: str = "random"

    def choice(self, name: str) -> LayerChoice:
        """Return the choice for a layer: of the patterns that match its name, later ones take precedence."""
        found = self.default
        for pattern, changes in self.layers:
            if fnmatchcase(name, pattern):
                found = replace(found, **{"plain": False, **changes})
        return found


def read_options(
    alpha: Ratio,
    beta: Ratio,
    paths: Iterable[str],
    layers: Layers | Sequence[str] | None,
    *,
    width_rule: str,
    stride_rule: str,
    between: str,
    init: str,
) -> Options:
    """Check the options of a conversion.

    Raises:
        ValueError: if one is out of range.
    """
    check_choice("width_rule", width_rule, WIDTH_RULES)
    check_choice("stride_rule", stride_rule, STRIDE_RULES)
    check_choice("between", between, BETWEEN)
    check_choice("init", init, INITS)
    default = LayerChoice(as_alpha(alpha), as_beta(beta), as_paths(paths))
    named = layers if isinstance(layers, Mapping) else parse_layers(_texts(layers))
    chosen = tuple((pattern, _changes(pattern, given)) for pattern, given in named.items())
    return Options(default, chosen, width_rule, stride_rule, between, init)


def _texts(layers: Sequence[str] | None) -> Sequence[str]:
    is_list = isinstance(layers, Sequence) and not isinstance(layers, str)
    if layers is not None and not (is_list and all(isinstance(text, str) for text in layers)):
        raise ValueError(
            "layers must be a mapping from patterns to choices, or a list of texts such as "
            f"'layer3.*=alpha:1/2', got {layers!r}"
        )
    return layers or ()


def parse_layers(texts: Sequence[str]) -> dict[str, str]:
    """Read choices in command-line form: `stage3.*=alpha:1/2,paths:HL,LH`, `layer4.*=plain`.

    Raises:
        ValueError: if a text is not a choice, or two have the same pattern.

    >>> parse_layers(["stage3.*=alpha:1/2,beta:4"])
    {'stage3.*': 'alpha:1/2,beta:4'}
    """
    found = {}
    for text in texts:
        pattern, sign, choice = text.partition("=")
        if not sign or not pattern.strip() or not choice.strip():
            raise ValueError(
                f"a choice is PATTERN=alpha:1/2,beta:4,paths:HL,LH or PATTERN=plain, got {text!r}"
            )
        if pattern.strip() in found:
            raise ValueError(f"layers: {pattern.strip()!r} is given twice: write one choice, key by key")
        found[pattern.strip()] = choice.strip()
    return found


def _changes(pattern: str, given: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(given, str):
        given = _taken_apart(pattern, given)
    readers: dict[str, Callable[[Any], Any]] = {
        "alpha": as_alpha,
        "beta": as_beta,
        "paths": as_paths,
        PLAIN: bool,
    }
    if not isinstance(pattern, str) or not isinstance(given, Mapping):
        raise ValueError(
            f"layers[{pattern!r}] must be a name pattern with a text or a mapping, got {given!r}"
        )
    unknown = [key for key in given if key not in readers]
    if unknown or not given:
        raise ValueError(f"layers[{pattern!r}] takes alpha, beta, paths or plain, got {unknown or given!r}")
    return {key: readers[key](value) for key, value in given.items()}


def _taken_apart(pattern: str, text: str) -> dict[str, Any]:
    """Parse `alpha:1/2,paths:HL,LH`; items after `paths:` without a key are further paths."""
    if text.strip().lower() == PLAIN:
        return {PLAIN: True}
    found: dict[str, str] = {}
    last = ""
    for part in text.split(","):
        key, sign, value = (piece.strip() for piece in part.partition(":"))
        if not sign and last == "paths":
            found[last] += f",{key}"
            continue
        if not sign or key not in KEYS or key in found:
            raise ValueError(
                f"layers[{pattern!r}] must be such as alpha:1/2,beta:4,paths:HL,LH or plain, got {text!r}"
            )
        found[key], last = value, key
    return dict(found)

"""The page of a network of the user's own: its layers, sizes as sliders, the closed form in JavaScript."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from costmodel.explorer.page import asset, filled
from costmodel.tables.expressions import HELPERS

# What is shown, by the quantity's name; layers have all but parameters, which only the whole has.
QUANTITIES: Mapping[str, str] = {
    "params": "parameters",
    "macs": "MACs",
    "activations": "activations",
    "element_ops": "element operations",
}


LARGEST_KIB = 400


@dataclass(frozen=True)
class Slider:
    """One size: its symbol, its value at first, and the least and largest that it can take."""

    name: str
    value: int
    least: int
    most: int
    step: int = 1


@dataclass(frozen=True)
class OwnNetwork:
    """A network as the page needs it: formulas are expressions of JavaScript in BigInt, for each quantity."""

    name: str
    status: str
    domain: str
    sliders: Sequence[Slider]
    conditions: Sequence[str]  # expressions that are true in the domain
    total: Mapping[str, str]
    layers: Mapping[str, Mapping[str, str]]
    text: Mapping[str, str]  # the total's formulas, to be read


def argument(name: str) -> str:
    """Return a size's name in the page's functions: neither a JavaScript keyword nor a name that it uses."""
    return f"{name}_"


def own_page(network: OwnNetwork, search: Mapping[str, Any] | None = None) -> str:
    """Return the page as HTML text: complete, with nothing to fetch.

    Args:
        network: the network.
        search: what `costmodel.explorer.own_search.own_search` returns; without it, the page has no search.

    Raises:
        ValueError: if the page would be larger than 400 KiB.
    """
    scripts = [*HELPERS.values(), _data(network), asset("own.js")]
    if search is not None:
        data = f"const SEARCH = {_string(search, (',', ':'))};"
        scripts += [data, *(asset(f"{name}.js") for name in ("budget", "merge", "own_search"))]
    parts = {
        "css": asset("own.css"),
        "heading": html.escape(network.name),
        "status": html.escape(f"Closed form, {network.status}: {network.domain}."),
        "search": "" if search is None else asset("own_search.html"),
        "script": "\n".join(scripts),
    }
    page = filled(asset("own.html"), parts)
    if len(page.encode()) > LARGEST_KIB * 1024:
        raise ValueError(
            f"the page must be at most {LARGEST_KIB} KiB, got {len(page.encode()) / 1024:.0f}: "
            "give fewer values of --alpha or --beta, or no --per-stage"
        )
    return page


def _data(network: OwnNetwork) -> str:
    names = ", ".join(argument(slider.name) for slider in network.sliders)
    sliders = [vars(slider) for slider in network.sliders]
    layers = [
        f"  {{name: {_string(name)}, cost: {_functions(formulas, names)}}},"
        for name, formulas in network.layers.items()
    ]
    conditions = [f"  ({names}) => {condition}," for condition in network.conditions]
    return "\n".join(
        [
            f"const QUANTITIES = {_string(dict(QUANTITIES))};",
            f"const SLIDERS = {_string(sliders)};",
            f"const FORMULAS = {_string(dict(network.text))};",
            f"const TOTAL = {_functions(network.total, names)};",
            *["const CONDITIONS = [", *conditions, "];"],
            *["const LAYERS = [", *layers, "];"],
        ]
    )


def _functions(formulas: Mapping[str, str], names: str) -> str:
    return "{" + ", ".join(f"{key}: ({names}) => {formula}" for key, formula in formulas.items()) + "}"


def _string(value: object, separators: tuple[str, str] = (", ", ": ")) -> str:
    """Return JSON that can't end the script it stands in."""
    return (
        json.dumps(value, separators=separators)
        .replace("<", "\\u003c")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )

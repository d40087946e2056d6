"""The explorer's page: a template, a style sheet and scripts, put into one file with the formulas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import costmodel
from costmodel.explorer.formulas import QUANTITIES, formulas_javascript
from costmodel.explorer.mathematics import mathematics_javascript
from costmodel.grids.evaluate import evaluate
from costmodel.grids.grid import Grid, grid
from costmodel.networks.wording import path_list

# In the order in which one needs the other.
SCRIPTS = (
    "arithmetic",
    "layers",
    "network",
    "read",
    "state",
    "notes",
    "dom",
    "exports",
    "table",
    "diagram",
    "comparison",
    "plot",
    "front",
    "controls",
    "app",
)
DEFAULT_DEPTH = 56

WEB = files("costmodel.explorer") / "web"


def page() -> str:
    """Return the page as HTML text: complete, with nothing to fetch."""
    parts = {
        "css": asset("explorer.css"),
        "version": str(costmodel.__version__),
        "depth": str(DEFAULT_DEPTH),
        "script": "\n".join([_data(), *(asset(f"{name}.js") for name in SCRIPTS)]),
    }
    return filled(asset("template.html"), parts)


def asset(name: str) -> str:
    """Return the text of a file of the page."""
    return (WEB / name).read_text(encoding="utf-8")


def filled(template: str, parts: Mapping[str, str]) -> str:
    """Replace each /*{name}*/ by its part; a place without a part, or a part without a place, is an error."""
    for name, text in parts.items():
        before, place, after = template.partition(f"/*{{{name}}}*/")
        if not place:
            raise ValueError(f"the template has no place for {name}")
        template = before + text + after
    return template


def _data() -> str:
    quantities = json.dumps(list(QUANTITIES))
    known = json.dumps(references())
    return "\n".join(
        [
            f"const QUANTITIES = {quantities};",
            formulas_javascript(),
            mathematics_javascript(),
            f"const REFERENCES = {known};",
        ]
    )


def references() -> list[dict[str, Any]]:
    """Return networks with the parameters and MACs of their closed forms, for the page to check itself by."""
    space = grid(
        alphas=["0", "1/8", "1/3", "3/4", "1"],
        betas=["2", "8/3"],
        path_subsets=[(), ("HL", "LH", "LL"), ("HH", "HL", "LH", "LL")],
        depths=[20, DEFAULT_DEPTH],
    )
    counts = evaluate(space, ("params", "macs"))
    return [
        {"state": _state(space, i), "params": int(counts["params"][i]), "macs": int(counts["macs"][i])}
        for i in range(len(space))
    ]


def _state(space: Grid, i: int) -> dict[str, str]:
    """Return a configuration as the page's link says it."""
    stage = space.network(i).stages[0]
    return {
        "depth": str(space.depth[i]),
        "alpha": str(stage.alpha),
        "beta": str(stage.beta),
        "paths": path_list(stage.paths),
    }

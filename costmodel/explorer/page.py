"""The explorer's page: a template, a style sheet and scripts, put into one file with the formulas."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from costmodel.explorer.formulas import QUANTITIES, formulas_javascript
from costmodel.explorer.machines import WORTH, machines
from costmodel.explorer.mathematics import mathematics_javascript
from costmodel.explorer.measured import measured
from costmodel.explorer.work import work_javascript
from costmodel.grids.evaluate import evaluate
from costmodel.grids.grid import Grid, grid
from costmodel.networks.wording import path_list
from costmodel.paper.printed import read_paper
from costmodel.paper.records import Record
from costmodel.release import installed_release

# In the order in which one needs the other.
SCRIPTS = (
    "arithmetic",
    "layers",
    "network",
    "budget",
    "read",
    "state",
    "notes",
    "dom",
    "exports",
    "table",
    "grip",
    "diagram",
    "comparison",
    "time",
    "plot",
    "front",
    "merge",
    "stages",
    "presets",
    "controls",
    "app",
)
DEFAULT_DEPTH = 56

WEB = files("costmodel.explorer") / "web"


def page(docs: str | None = None, records: Sequence[Record] = ()) -> str:
    """Return the page as HTML text: complete, with nothing to fetch.

    Args:
        docs: an address for its link to the documentation; without one there is no such link.
        records: finished runs, whose accuracies stand beside the networks that were trained.
    """
    parts = {
        "css": asset("explorer.css"),
        "docs": f' <a href="{html.escape(docs)}">Documentation</a>.' if docs else "",
        "version": installed_release(),
        "worth": html.escape(WORTH),
        "depth": str(DEFAULT_DEPTH),
        "script": "\n".join([_data(records), *(asset(f"{name}.js") for name in SCRIPTS)]),
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


def _data(records: Sequence[Record]) -> str:
    quantities = json.dumps(list(QUANTITIES))
    known = json.dumps(references())
    return "\n".join(
        [
            f"const QUANTITIES = {quantities};",
            formulas_javascript(),
            work_javascript(),
            f"const MACHINES = {json.dumps(machines())};",
            mathematics_javascript(),
            f"const REFERENCES = {known};",
            f"const PRESETS = {json.dumps(presets())};",
            f"const MEASURED = {json.dumps(measured(records))};",
        ]
    )


def presets() -> list[dict[str, Any]]:
    """Return networks to start from: plain and octave ones, and each that the paper's tables print."""
    octaves = [{"alpha": alpha, "paths": "none"} for alpha in ("0", "1/4", "1/2", "3/4")]
    found = [
        {"group": f"ResNet-{DEFAULT_DEPTH}", "name": _octave_name(texts), "texts": texts} for texts in octaves
    ]
    for row in read_paper().rows:
        texts = {"depth": str(row.depth), "alpha": str(row.alpha), "paths": path_list(row.paths)}
        found.append({"group": f"Inoue and Gotoh, Table {row.table}", "name": row.label, "texts": texts})
    return found


def _octave_name(texts: Mapping[str, str]) -> str:
    return "plain" if texts["alpha"] == "0" else f"Oct, alpha {texts['alpha']}"


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

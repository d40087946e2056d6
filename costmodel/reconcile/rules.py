"""What each counter sees and what it charges for it: rules read from one file per counter.

A rule names events of one level, and gives a price for each of them: an expression in

    x, w, y     shapes of the first and second tensor that it reads, and of the first that it makes
    macs        our MACs of the operators inside it; products: how many of these have MACs
    batch       the first axis of the model's first input
    a           its arguments by position; arguments of convolutions, norms, ... by name too
    is_leaf     whether a module has no children
    anything else: an attribute of the module (in_features, affine, ...); None where it has none
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from costmodel.reconcile.events import LEVELS
from costmodel.reconcile.expressions import compiled

ORDER = (
    "torch", "fvcore", "mmengine", "mmcv", "ptflops", "ptflops-aten", "ptflops-0.6",
    "thop", "thop-2005", "thop-1909", "ultralytics-thop", "torchinfo", "torchprofile", "torchscan",
    "torchscan-flops", "calflops", "calflops-macs", "deepspeed", "deepspeed-macs", "onnx-tool",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PriceRule:
    """A price for events of one level with certain names, where a condition holds."""

    level: str
    names: frozenset[str]
    price: str
    what: str
    when: str = ""


@dataclass(frozen=True)
class Rules:
    """One counter: what it is called, which version was measured when, and how it counts."""

    name: str
    package: str
    version: str
    measured: date | None  # None: read, not measured
    unit: str  # "MAC" or "FLOP": what one unit of its number is
    calls_it: str  # what it prints
    classes: str = "exact"  # or "bases": how a module meets a rule
    unused: str = "counted"  # or "dropped": work on which the output does not depend
    repeats: str = "once"  # how often a module with several parents enters
    outermost: bool = False  # functions inside of what it knows, or inside of one another, are not seen
    per_image: bool = False  # divides what modules cost by the batch
    stand_ins: bool = True  # whether the rules hold where objects stand for tensors, such as octave maps
    notes: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()
    family: str = ""  # versions of a counter, and those that descend from its code: its name
    rules: tuple[PriceRule, ...] = ()
    by_name: Mapping[tuple[str, str], tuple[PriceRule, ...]] = field(default_factory=dict)

    @property
    def macs_per_unit(self) -> int:
        """How many of its units one MAC is."""
        return 2 if self.unit == "FLOP" else 1

    @property
    def reads_files(self) -> bool:
        """Whether it counts the nodes of an ONNX file, so that a network is exported for it."""
        return any(rule.level == "node" for rule in self.rules)


@cache
def counters() -> Mapping[str, Rules]:
    """Return all counters, by name."""
    folder = files("costmodel.reconcile") / "counters"
    return {name: read((folder / f"{name}.toml").read_text(encoding="utf-8")) for name in ORDER}


def read(text: str) -> Rules:
    """Read the rules of a counter.

    Raises ValueError if a rule is not valid.
    """
    found = tomllib.loads(text)
    rules = tuple(map(_rule, found.pop("rule", ())))
    by_name: dict[tuple[str, str], list[PriceRule]] = {}
    for rule in rules:
        for name in rule.names:
            by_name.setdefault((rule.level, name), []).append(rule)
    for key in ("notes", "defects"):
        found[key] = tuple(found.get(key, ()))
    found.setdefault("measured", None)
    found.setdefault("family", found["name"])
    return Rules(**found, rules=rules, by_name={key: tuple(value) for key, value in by_name.items()})


def _rule(given: Mapping[str, Any]) -> PriceRule:
    (level,) = [level for level in LEVELS if level in given] or [""]
    if not level:
        raise ValueError(f"a rule names events of one of {', '.join(LEVELS)}; got {dict(given)}")
    compiled(given["price"])
    when = given.get("when", "")
    if when:
        compiled(when)
    return PriceRule(level, frozenset(given[level]), given["price"], given["what"], when)

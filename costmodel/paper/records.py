"""Measured accuracies: the results of finished training runs, beside the accuracies that are printed.

A record is the `result.json` that a run leaves in its folder, or a copy of it kept under any name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from costmodel.paper.cells import network_columns, network_values
from costmodel.paper.printed import BETA, Paper, PrintedRow
from costmodel.paper.student import mean_interval
from costmodel.report import Column, Table, counted
from costmodel.text import parse_json, read_text

# What a run's network must have to be the paper's, beside its depth, alpha, beta and paths.
FIXED: Mapping[str, Any] = {
    "width_rule": "out",
    "stride_rule": "C",
    "between": "none",
}
WIDTH = 16  # channels of the paper's first stage
# How the study's runs are computed, and what a run that is computed otherwise is marked with.
MACHINE: Mapping[str, Any] = {"device": "cpu", "ranks": 1, "sync_bn": False, "compile": False}
HARMLESS = {"machine.threads", "machine.plan"}  # changes within a run, up to rounding


@dataclass(frozen=True)
class Record:
    """A finished run: its network, how it was trained, its seed, and the share of test images recognised."""

    depth: int
    alpha: tuple[Fraction, ...]
    beta: tuple[Fraction, ...]
    paths: tuple[frozenset[str], ...]
    width: int
    frozen: bool  # the 1x1 convolutions of bottlenecks kept their initial values
    fixed: bool  # everything else about the network is as in the paper
    dataset: str
    training: str  # all of the configuration but network, seed and machine, as text
    recipe: str
    epochs: int
    precision: str
    plan: str
    remarks: tuple[str, ...]  # on what else sets it apart: a change within the run, several ranks
    seed: int
    accuracy: float

    def is_of(
        self,
        row: PrintedRow,
        *,
        frozen: bool = False,
        dataset: str = "cifar10",
        depth: int | None = None,
        width: int = WIDTH,
    ) -> bool:
        """Return whether this is a run of a row's network, or of the same at another depth or width."""
        beta = self.beta if row.paths else (BETA,)
        return (
            (self.depth, self.width, self.frozen, self.dataset)
            == (depth or row.depth, width, frozen, dataset)
            and self.fixed
            and (self.alpha, beta, self.paths) == ((row.alpha,), (BETA,), (row.paths,))
        )


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of several runs that differ in the seed alone, in per cent."""

    recipe: str
    epochs: int
    training: str  # everything of the configuration but network, seed and machine
    plan: str  # that computed the runs
    remarks: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def text(self) -> str:
        """How the runs were trained, in a few words."""
        return ", ".join([self.recipe, counted(self.epochs, "epoch"), *self.remarks])

    @property
    def mean(self) -> float:
        """The mean."""
        return fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The standard deviation of a run (n - 1); None of a single one."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def error(self) -> float | None:
        """The standard error of the mean."""
        return None if self.deviation is None else self.deviation / sqrt(len(self.values))


def read_records(folders: Iterable[Path]) -> list[Record]:
    """Return the records in folders: result.json in the folders of runs, and *.json directly inside.

    A run that is found twice counts once, and one of a user's own network does not count. Raises ValueError
    if a file is not a record, or a kept record is not as it was written.
    """
    found = [record for folder in folders for path in _files(folder) for record in _read(path)]
    return list(dict.fromkeys(found))


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*/result.json"))
    yield from sorted(folder.glob("*.json"))


def _read(path: Path) -> Iterator[Record]:
    try:
        content = parse_json(read_text(path))
        for result in content if isinstance(content, list) else [content]:
            check_digest(result)
            if is_resnet(result):
                yield record(result)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a record of a run: {type(error).__name__} {error}") from None


def check_digest(result: Mapping[str, Any]) -> None:
    """Raise ValueError if a kept record is not as it was written; `pwoct.training` writes the same digest."""
    content = {key: value for key, value in result.items() if key != "sha256"}
    written = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    if result.get("sha256", written) != written:
        raise ValueError("its sha256 does not match its content: `runs --check` says what contradicts itself")


def is_resnet(result: Mapping[str, Any]) -> bool:
    """Return whether a run's network is one of the ResNets that the paper's belong to."""
    return re.fullmatch(r"resnet\d+", result["config"]["model"]["name"]) is not None


def record(result: Mapping[str, Any]) -> Record:
    """Return what the result of a run of a ResNet says, as far as it matters here."""
    config = result["config"]
    model = config["model"]
    training = {key: value for key, value in config.items() if key not in ("model", "seed", "machine")}
    return Record(
        depth=int(model["name"].removeprefix("resnet")),
        alpha=tuple(map(Fraction, model["alpha"])),
        beta=tuple(map(Fraction, model["beta"])),
        paths=tuple(frozenset(filter(None, names.split(","))) for names in model["paths"]),
        width=model["width"],
        frozen=model["freeze_pointwise"],
        fixed=all(model[key] == value for key, value in FIXED.items())
        and model.get("shortcut", "B") == "B",  # older runs have no other, and do not say it
        dataset=config["data"]["dataset"],
        training=json.dumps(_given(training), sort_keys=True),
        recipe=config["recipe"],
        epochs=config["epochs"],
        precision=config["machine"]["precision"],
        plan=config["machine"]["plan"],
        remarks=tuple(_remarks(result)),
        seed=config["seed"],
        accuracy=_accuracy(result),
    )


def _remarks(result: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(set(result.get("changes", ())) - HARMLESS):
        yield f"{key} changed"
    machine = {**MACHINE, **result["config"]["machine"]}
    for key, usual in MACHINE.items():
        if machine[key] != usual:
            yield f"{key} {machine[key]}"


def _accuracy(result: Mapping[str, Any]) -> float:
    accuracy, correct, images = result["accuracy"], result["correct"], result["images"]
    are_counts = type(correct) is type(images) is int and 0 <= correct <= images > 0
    if not (are_counts and type(accuracy) in (float, int) and accuracy == correct / images):
        raise ValueError(f"its accuracy is {accuracy!r}, but {correct!r} of {images!r} images are correct")
    return float(accuracy)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is null: older records lack keys that newer ones have as null."""
    return {
        key: _given(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }


def accuracies(records: Iterable[Record]) -> list[Accuracy]:
    """Return the accuracies of records, those together that differ in the seed alone.

    Several runs of one seed, which differ in rounding, are one value: their mean.
    """
    groups: dict[tuple[Any, ...], dict[int, list[float]]] = {}
    for each in records:
        key = each.recipe, each.epochs, each.training, each.precision, each.plan, each.remarks
        groups.setdefault(key, {}).setdefault(each.seed, []).append(100 * each.accuracy)
    return [
        Accuracy(recipe, epochs, training, plan, remarks, tuple(map(fmean, by_seed.values())))
        for (recipe, epochs, training, _, plan, remarks), by_seed in sorted(groups.items())
    ]


def accuracy_table(paper: Paper, records: Sequence[Record]) -> Table:
    """Return the printed accuracies beside the measured ones, one row per depth and recipe that was trained.

    Where a network was not trained at its depth, runs of the largest depth that no table has stand in; the
    row says so.
    """
    tables = {row.depth for row in paper.rows}
    others = sorted({each.depth for each in records} - tables, reverse=True)
    rows = [
        {**network_values(row), "printed": row.accuracy, **measured}
        for row in paper.rows
        for measured in _at_first([row.depth, *others], row, records)
    ]
    columns = [
        *network_columns(),
        Column("printed", "printed, %"),
        Column("depth", "trained depth", "count"),
        Column("mean", "measured, %"),
        Column("interval", "95 %"),
        Column("deviation", "sd"),
        Column("runs", "n", "count"),
        Column("recipe", "recipe"),
        Column("plan", "plan"),
    ]
    return Table("accuracy", "CIFAR-10 test accuracy", columns, rows)


def _at_first(depths: Iterable[int], row: PrintedRow, records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return what was measured of a row's network at the first depth with runs; an empty row without any."""
    for depth in depths:
        if found := accuracies(each for each in records if each.is_of(row, depth=depth)):
            return [{"depth": depth, **described(accuracy)} for accuracy in found]
    return [{}]


def described(accuracy: Accuracy) -> dict[str, Any]:
    """Return an accuracy as the values of a row: mean, 95 % interval, deviation, runs, recipe and plan."""
    deviation = accuracy.deviation
    half = None if deviation is None else mean_interval(accuracy.values, deviation).half
    return {
        "mean": f"{accuracy.mean:.2f}",
        "interval": None if half is None else f"± {half:.2f}",
        "deviation": None if deviation is None else f"{deviation:.2f}",
        "runs": len(accuracy.values),
        "recipe": accuracy.text,
        "plan": accuracy.plan,
    }

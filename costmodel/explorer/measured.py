"""Measured accuracies on the page: what the records of finished runs say of the networks that it shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from costmodel.networks.wording import joined, path_list
from costmodel.paper.records import Record, accuracies, described
from costmodel.report import counted

DATASET, TITLE = "cifar10", "CIFAR-10"


def measured(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return what was measured of each network that the page can show: its texts, and a sentence.

    Runs on other data sets, with frozen 1x1 filters or with options that the page lacks are left out.
    """
    shown = [each for each in records if each.dataset == DATASET and each.fixed and not each.frozen]
    networks: dict[tuple[tuple[str, str], ...], list[Record]] = {}
    for each in shown:
        networks.setdefault(tuple(_texts(each).items()), []).append(each)
    return [{"texts": dict(texts), "said": _said(runs)} for texts, runs in networks.items()]


def _texts(record: Record) -> dict[str, str]:
    return {
        "depth": str(record.depth),
        "alpha": joined(record.alpha),
        "beta": joined(record.beta),
        "paths": joined(map(path_list, record.paths)),
        "width": str(record.width),
    }


def _said(runs: Iterable[Record]) -> str:
    """Say an accuracy as its page of documentation does: mean, interval, number of runs, recipe."""
    said = []
    for found in accuracies(runs):
        row = described(found)
        interval = f" {row['interval']}" if row["interval"] else ""
        said.append(f"{row['mean']}{interval} % ({counted(row['runs'], 'run')}; {row['recipe']})")
    return f"Measured on {TITLE}: {'; '.join(said)}"

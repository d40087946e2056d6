"""The machines whose times the page predicts: measured by `pwoct-cost bench`, one file each."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

FOLDER = files("costmodel.explorer") / "web" / "machines"
KEPT = ("processor", "threads", "clock", "torch", "attained")

# Each number of it stands in docs/performance.md.
WORTH = (
    "For modules as PyTorch runs them (plan reference): a roofline and a cost per call, fitted to four "
    "networks. A prediction ranks networks; it does not replace a measurement. On the EPYC, over 23 networks "
    "of depth 20, the rank correlation with measured times is 0.95 for inference and 0.80 for training in "
    "float32, 0.96 and 0.74 in bfloat16. The kernels of this package (plans native and blocked) are faster; "
    "pwoct-cost bench measures them."
)


def machines() -> list[dict[str, Any]]:
    """Return the machines of the repository as the page reads them: name, hardware, what was measured."""
    found = sorted((file for file in FOLDER.iterdir() if file.name.endswith(".json")), key=lambda f: f.name)
    return [_machine(file.name, json.loads(file.read_text(encoding="utf-8"))) for file in found]


def _machine(name: str, measured: dict[str, Any]) -> dict[str, Any]:
    threads = "1 thread" if measured["threads"] == 1 else f"{measured['threads']} threads"
    return {
        "id": name.removesuffix(".json"),
        "name": f"{measured['processor']}, {threads}",
        **{key: measured[key] for key in KEPT},
    }

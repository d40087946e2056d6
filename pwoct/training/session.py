"""The machine and the software of a session: the entry of a run's environment.json."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pwoct.training.config import Config


def environment(config: Config, data: str) -> dict[str, Any]:
    """Return the machine and the software of a session."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in ("pwoct-cost", "torch", "numpy", "safetensors")},
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),  # "AVX2": sums depend on the vectors' length
        "machine": config.machine.model_dump(),
        "commit": _commit(),
        "data": data,
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not on Linux
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


@cache
def _commit() -> str | None:
    """Return the commit of the sources, marked where they differ from it; None for an installed package."""
    here = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run(
            [*here, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*here, "status", "--porcelain", "--untracked-files=no", "."],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit} with changes" if changed else commit

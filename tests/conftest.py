"""What all tests share: repeatable random examples, and a way to run the command line."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings

from costmodel.__main__ import OBJECTS_BEFORE_COLLECTION, SYMPY_CACHE

# As in the command line, and for the same reason. sympy reads it when it is first imported.
os.environ.setdefault("SYMPY_CACHE_SIZE", SYMPY_CACHE)
gc.set_threshold(OBJECTS_BEFORE_COLLECTION)

# Many tests start processes, which would compile all modules anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The same examples in every run: a test never fails by chance. No deadline: the machine may be busy.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Leave modules and tests, which stay to the end, out of every later collection of garbage.

    Loggers of torch pass on what they log: around each test, pytest visits all that do not.
    """
    gc.collect()
    gc.freeze()
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "torch":
            logging.getLogger(name).propagate = True


# Without node the test is skipped, but fails in CI, where it must run.
needs_node = pytest.mark.skipif(
    shutil.which("node") is None and os.environ.get("CI") != "true", reason="needs node"
)


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def counters_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run counters in this process: starting two of their own takes longer than all else that is tested."""
    from costmodel.checks import isolated, verify_foreign

    class Here(isolated.CountersApart):
        def __enter__(self) -> Here:
            return self

        def results(self) -> isolated.Results:
            job = self._job
            network = isolated.load(job.network)
            inputs = isolated._inputs({**isolated.asdict(job)}, network)
            return isolated.run_here(network, inputs, [isolated.parse(other) for other in job.others])

    monkeypatch.setattr(verify_foreign, "CountersApart", Here)


@pytest.fixture
def pwoct_cost(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run `pwoct-cost` in this process, on a terminal 80 columns wide."""
    import cli

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(arguments)
        out, err = capfd.readouterr()
        return Ran(int(left.value.code or 0), out, err)

    return run

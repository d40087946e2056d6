"""Breaks functions one by one, and shows which tests notice.

    python benchmarks/mutation.py FILE... --tests TEST... [--again LINES] --out LINES

The tests run once as they are, and the tests of each function are noted. Then every mutant runs in a forked
process, where the changed function replaces the original one, and its tests run until one fails, the fast
ones first. What is computed while a module is imported keeps its value. LINES gets a JSON line per mutant:
what was changed, and which test noticed; "" for a survivor, null if no test calls the function.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import resource
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from every_change import Mutant, Place, mutants  # noqa: E402

MOST_SECONDS = 10  # of processor time per mutant, beyond twice what its tests take


class Live:
    """The functions of some files that exist after the tests were imported, and all caches of results."""

    def __init__(self, names: set[str]) -> None:
        gc.unfreeze()  # frozen objects are not listed
        self.functions: dict[tuple[str, int, str], list[FunctionType]] = defaultdict(list)
        self.caches = []
        for thing in gc.get_objects():
            if type(thing) is FunctionType and thing.__code__.co_filename in names:
                self.functions[_key(thing.__code__)].append(thing)
            elif type(thing) is functools._lru_cache_wrapper and _is_own(thing.__wrapped__):
                self.caches.append(thing)
        gc.freeze()

    def install(self, mutant: Mutant) -> None:
        """Replace the function that the mutant changes, with those inside it."""
        for code in _codes(mutant.code):
            if _outermost(code) == mutant.place:
                for function in self.functions.get(_key(code), ()):
                    function.__code__ = code
        for cache in self.caches:
            cache.cache_clear()


def _is_own(function: Any) -> bool:
    return getattr(function, "__module__", "").partition(".")[0] in ("costmodel", "pwoct", "tests")


def _key(code: CodeType) -> tuple[str, int, str]:
    return code.co_filename, code.co_firstlineno, code.co_qualname


def _outermost(code: CodeType) -> Place:
    return code.co_filename, code.co_qualname.split(".<locals>")[0]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _codes(inner)


class Campaign:
    """A pytest plugin that runs the tests as they are, and then for each mutant those that reach it."""

    def __init__(self, tried: Sequence[Mutant], out: Path) -> None:
        self.tried, self.out = tried, out
        self.names = {mutant.place[0] for mutant in tried}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the campaign instead of the tests."""
        observed = _asked(lambda: self._observe(session.items), 3600)
        if observed is None:
            pytest.exit("the tests ended without an answer", returncode=1)
        reached, seconds = observed
        live = Live(self.names)
        for mutant in self.tried:
            tests = sorted(reached.get(" ".join(mutant.place), ()), key=lambda index: seconds[index])
            chosen = [session.items[index] for index in tests]
            by = _noticed(chosen, mutant, live, sum(seconds[index] for index in tests))
            with self.out.open("a", encoding="utf-8") as out:
                print(json.dumps({"mutant": mutant.name, "by": by}), file=out)
        return True

    def _observe(self, items: Sequence[pytest.Item]) -> tuple[dict[str, list[int]], list[float]]:
        """Run all tests; return the places of those that call each function, and their seconds.

        Functions that fixtures call belong to all tests of the file, since a fixture may be shared.
        """
        calls: list[set[str]] = []
        setups: dict[Path, set[str]] = defaultdict(set)
        seconds: list[float] = []
        unusable: set[int] = set()
        for item, following in zip(items, [*items[1:], None], strict=True):
            seen: set[str] = set()
            began = time.process_time()
            note = functools.partial(_note, self.names, seen)
            threading.settrace(note)  # of threads that the code starts
            sys.settrace(note)
            item.session._setupstate.setup(item)
            setups[item.path] |= seen
            reports = runtestprotocol(item, log=False, nextitem=following)
            sys.settrace(None)
            threading.settrace(None)
            seconds.append(time.process_time() - began)
            calls.append(seen)
            if any(report.failed for report in reports):
                print(f"left out: {item.nodeid} fails unchanged in a forked process", file=sys.__stderr__)
                unusable.add(len(calls) - 1)
        reached = defaultdict(list)
        for index, (item, seen) in enumerate(zip(items, calls, strict=True)):
            for place in set() if index in unusable else seen | setups[item.path]:
                reached[place].append(index)
        return reached, seconds


def _survivors(lines: Path) -> set[str]:
    found = map(json.loads, lines.read_text(encoding="utf-8").splitlines())
    return {line["mutant"] for line in found if not line["by"]}


def _noticed(tests: Sequence[pytest.Item], mutant: Mutant, live: Live, seconds: float) -> str | None:
    """Return the first of the tests that fails, "" if none does, None if there is none."""
    if not tests:
        return None
    found = _asked(lambda: _first_failure(tests, mutant, live), MOST_SECONDS + int(2 * seconds))
    return "time-out or crash" if found is None else str(found)


def _first_failure(items: Sequence[pytest.Item], mutant: Mutant, live: Live) -> str:
    live.install(mutant)
    for item, following in zip(items, [*items[1:], None], strict=True):
        reports = runtestprotocol(item, log=False, nextitem=following)
        if any(report.failed for report in reports):
            return item.nodeid
    return ""


def _note(names: set[str], seen: set[str], frame: FrameType, event: str, arg: Any) -> None:  # noqa: ARG001
    code = frame.f_code
    if code.co_filename in names:
        seen.add(" ".join(_outermost(code)))


def _asked(answer: Any, seconds: int) -> Any:
    """Return the answer of a forked process, or None if it ends without one."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        used = int(sum(os.times()[:2]))
        resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, used + seconds))
        signal.alarm(20 * seconds)  # for what waits for ever
        try:
            text = json.dumps(answer())
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        with os.fdopen(writer, "w") as out:
            out.write(text)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        text = answers.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="modules whose functions are changed")
    parser.add_argument("--tests", nargs="+", required=True, help="test files or names, as for pytest")
    parser.add_argument("--part", default="1/1", help="k/n: every n-th mutant, from the k-th on")
    parser.add_argument("--again", type=Path, help="earlier LINES: only the mutants that survived")
    parser.add_argument("--out", type=Path, required=True, help="file that gets a JSON line per mutant")
    options = parser.parse_args()
    tried = [mutant for path in options.files for mutant in mutants(path.resolve())]
    if options.again is not None:
        survived = _survivors(options.again)
        tried = [mutant for mutant in tried if mutant.name in survived]
    first, step = map(int, options.part.split("/"))
    campaign = Campaign(tried[first - 1 :: step], options.out.resolve())
    os.chdir(ROOT)
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=native", *options.tests]
    sys.exit(pytest.main(arguments, [campaign]))


if __name__ == "__main__":
    main()

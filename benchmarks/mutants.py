"""Plants defects one by one, and shows which check finds each: `python benchmarks/mutants.py [--only TEXT]`.

Each mutant runs in a separate process, forked before the project is imported; its source exists only in
memory. It is tested with `prove`, claim by claim until one fails, the cheap ones first; if none fails, with
`verify` on three networks, and then with the rest of `prove`. `--every-check` runs `verify` on the others
too. `--tests` runs the tests that `mutants_tests.json` names for the changed file, until one of them fails.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import resource
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
planted = importlib.import_module("planted")  # beside this file

MOST_SECONDS = 150  # seconds of processor time per mutant; on time-out, the running check counts as passed
MOST_SECONDS_OF_TESTS = 90
# The claims that are tried first, cheapest first; for a theorem, only its first run.
QUICK: Sequence[str] = (
    *(
        "random layers",
        "random networks",
        "formulas of paths",
        "notes on rounding",
        "rows of a network",
        "tables of networks",
        "derived quantities",
        "explained formulas",
        "formulas and code refuse",
        "linear",
        "any kernel",
        "OctConv",
        "depthwise",
    ),
    *("any number of groups", "bias on all", "any odd kernel", "shortcut A", "image 8h+r", "named depth"),
    *("closed forms", "grids"),
)
# The claims that are tried before these on mutants of a folder or file: those that use its code.
FIRST: Mapping[str, Sequence[str]] = {
    "costmodel.grids": ("grids", "both roundings"),
    "costmodel.networks.closed_form": ("closed forms",),
    "costmodel.networks.resnet": ("named depth", "words and units"),
    "costmodel.operators.layer": ("formulas of paths", "tables of random layers"),
    "costmodel.operators.registry": ("explained formulas",),
    "costmodel.rounding": ("both roundings",),
    "costmodel.tables": ("tables of", "words and units", "sweeps and diffs", "exported Python"),
    "pwoct": ("random networks", "random layers"),
}


def verdict(mutant: Any, every_check: bool) -> dict[str, str]:
    """Return the result of each check on a mutant: why it fails, or nothing."""
    sys.meta_path.insert(0, planted.Planted(mutant))
    sys.path.insert(0, str(ROOT))
    found: dict[str, str] = {}
    checks: dict[str, Callable[[], str]] = {"prove": partial(_prove_quickly, mutant.module)}
    checks |= {"verify": _verify, "prove, rest": _prove_rest}
    for name, check in checks.items():
        if any(found.values()) and (name == "prove, rest" or not every_check):
            continue
        try:
            found[name] = check()
        except BaseException as error:  # a failing import also ends the command
            found[name] = f"{type(error).__name__}: {error}"[:200]
    found["prove"] = found["prove"] or found.pop("prove, rest", "")
    return found


def _prove_quickly(module: str) -> str:
    first = (text for folder, texts in FIRST.items() if module.startswith(folder) for text in texts)
    chosen = {claim.name: claim for text in (*first, *QUICK) for claim in _claims() if text in claim.name}
    return _prove([*chosen.values()], first=True)


def _prove_rest() -> str:
    return _prove(_claims(), first=False)


def _claims() -> list[Any]:
    from costmodel.checks.claims import claims_of

    return list(claims_of())


def _prove(claims: Sequence[Any], *, first: bool) -> str:
    from itertools import islice

    from costmodel.checks.prove import runs

    for claim in claims:
        for one in islice(runs(claim), 1) if first and claim.kind == "proved" else runs(claim):
            for failure in one.failures:
                return f"{claim.name}: {failure}"[:200]
    return ""


def _verify() -> str:
    from costmodel.checks.verify import verify_named

    for options in ({}, {"alpha": "1/4"}, {"alpha": "1/4", "paths": ["HH", "HL", "LH", "LL"]}):
        for difference in verify_named("resnet8", **options).differences:
            return difference[:200]
    return ""


def tests_verdict(mutant: Any) -> dict[str, str]:
    """Return the first of the changed file's tests that fails on a mutant, or nothing."""
    import pytest

    sys.meta_path.insert(0, planted.Planted(mutant))
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    files = json.loads((ROOT / "benchmarks/mutants_tests.json").read_text(encoding="utf-8"))
    first = _FirstFailure()
    code = pytest.main([*files[mutant.name.split()[0]], "-x", "-q", "-p", "no:cacheprovider"], [first])
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise ValueError(f"{mutant.name}: no tests")
    return {"tests": first.name or (str(code) if code else "")}


class _FirstFailure:
    """Keeps the name of the first test, or module of tests, that failed."""

    name = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.name = self.name or report.nodeid

    pytest_collectreport = pytest_runtest_logreport


def main() -> None:
    """Run the campaign: one JSON line per mutant, or the table of all lines in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose name has this text")
    parser.add_argument("--every-check", action="store_true", help="show each mutant to verify, too")
    parser.add_argument("--tests", action="store_true", help="show mutants to the tests of the changed file")
    parser.add_argument("--sample", type=int, help="only so many mutants, drawn with a fixed seed")
    parser.add_argument("--done", type=Path, action="append", default=[], help="not the mutants of that file")
    parser.add_argument("--part", default="1/1", help="k/n: every n-th mutant, from the k-th on")
    parser.add_argument("--table", type=Path, help="print the table of the lines in that file, and end")
    options = parser.parse_args()
    if options.table:
        print(table(_lines(options.table)))
        return
    import fvcore.nn  # noqa: F401 - imported once, before the forks
    import sympy  # noqa: F401
    import torch._dynamo
    import torch.fx.experimental.symbolic_shapes

    torch.set_num_threads(1)
    judge = tests_verdict if options.tests else partial(verdict, every_check=options.every_check)
    seconds = MOST_SECONDS_OF_TESTS if options.tests else MOST_SECONDS
    for mutant in _chosen(options):
        found = _forked(partial(judge, mutant), seconds)
        print(json.dumps({"mutant": mutant.name, "kind": mutant.kind, **found}), flush=True)


def _chosen(options: argparse.Namespace) -> list[Any]:
    part, parts = map(int, options.part.split("/"))
    chosen = [m for m in (*planted.planned_mutants(), *planted.small_mutants()) if options.only in m.name]
    if options.sample:
        chosen = random.Random(0).sample(chosen, options.sample)
    done = {line["mutant"] for path in options.done if path.exists() for line in _lines(path)}
    return [mutant for mutant in chosen[part - 1 :: parts] if mutant.name not in done]


def _lines(path: Path) -> list[dict[str, Any]]:
    return list(map(json.loads, path.read_text(encoding="utf-8").splitlines()))


def table(lines: Iterable[dict[str, Any]]) -> str:
    """Return a Markdown table of the mutants of each file: caught by which check, and escaped.

    Lines about the same mutant are combined. `by tests` refers to the mutants that were run against tests.
    """
    merged: dict[str, dict[str, Any]] = {}
    for line in lines:
        merged.setdefault(line["mutant"], {}).update(line)
    by_file: dict[str, list[dict[str, Any]]] = {}
    for line in merged.values():
        by_file.setdefault(line["mutant"].split()[0], []).append(line)
    rows = [_row(f"`{path}`", found) for path, found in sorted(by_file.items())]
    head = "| file | mutants | by `prove` | by `verify` | by neither | by tests |"
    escaped = [f"* `{line['mutant']}`" for line in merged.values() if not _catchers(line)]
    return "\n".join([head, "| --- " * 6 + "|", *rows, _row("all", list(merged.values())), "", *escaped])


def _catchers(line: dict[str, Any]) -> set[str]:
    return {check for check in ("prove", "verify") if line.get(check)}


def _row(title: str, lines: Sequence[dict[str, Any]]) -> str:
    caught = [_catchers(line) for line in lines]
    counts = len(lines), *(sum(check in one for one in caught) for check in ("prove", "verify"))
    shown = [line["tests"] for line in lines if "tests" in line]
    by_tests = f"{sum(map(bool, shown))} of {len(shown)}" if shown else ""
    return f"| {title} | {' | '.join(map(str, (*counts, sum(not one for one in caught), by_tests)))} |"


def _forked(judge: Callable[[], dict[str, str]], seconds: int) -> dict[str, Any]:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        used = int(sum(os.times()[:2]))
        resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, used + seconds))
        with os.fdopen(writer, "w") as out:
            out.write(json.dumps(judge()))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        text = answers.read()
    _, status, used_by_child = os.wait4(child, 0)
    spent = round(used_by_child.ru_utime + used_by_child.ru_stime, 1)
    if text:
        return {**json.loads(text), "seconds": spent}
    return {"ended": f"without an answer, status {status}", "seconds": spent}


if __name__ == "__main__":
    main()

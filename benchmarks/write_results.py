"""Writes a page such as docs/results.md, only from finished runs or their kept records.

python benchmarks/write_results.py [--title TEXT] [--remark TEXT] docs/records/*.json ... > page.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from costmodel.report import counted
from pwoct.training import contradictions, kept
from pwoct.training.record import Metrics, Result, RunFolder

Run = tuple[Result, list[dict[str, Any]], list[Metrics]]

INTRODUCTION = """# {title}

Accuracies that `pwoct-cost train` reached on CIFAR-10, written from the files of the runs. The accuracy is
that of the last epoch on all 10,000 test images; no epoch was chosen by it. Minutes are training and
evaluation, as measured.
"""


def read(path: Path) -> Run:
    """The result, the sessions and the epochs of a finished run, from its folder or its record."""
    if path.suffix == ".json":
        record = kept.read(path)
        if faults := contradictions.faults(record):
            raise SystemExit(f"{path}: {'; '.join(faults)}")
        values = {field.name: record[field.name] for field in fields(Result) if field.name in record}
        return Result(**values), record["sessions"], record["metrics"]
    run = RunFolder(path)
    result = run.result()
    if result is None:
        raise SystemExit(f"{path} is not finished")
    return result, run.sessions(), run.history()


def network(config: dict[str, Any]) -> str:
    """Return a short description of a network."""
    model = config["model"]
    words = [model["name"]]
    if model["alpha"] != ["0"]:
        words.append("alpha " + "+".join(model["alpha"]))
    if model["paths"] != [""]:
        words.append("beta " + "+".join(model["beta"]) + ", paths " + " + ".join(model["paths"]))
    return ", ".join(words)


def overview(runs: Sequence[Run]) -> Iterator[str]:
    """Yield one row per run."""
    yield (
        "| network | recipe | plan | epochs | seed | parameters | correct of 10,000 | accuracy % | minutes |"
    )
    yield "|---|---|---|---:|---:|---:|---:|---:|---:|"
    for result, _, _ in runs:
        plan = result.config["machine"]["plan"]
        setting = (
            f"{network(result.config)} | {result.config['recipe']} | {plan} | {result.epochs} | {result.seed}"
        )
        right = f"{result.correct:,} | {100 * result.accuracy:.2f}"
        yield f"| {setting} | {result.parameters:,} | {right} | {result.minutes:.1f} |"


def spreads(runs: Sequence[Run]) -> Iterator[str]:
    """Return mean and standard deviation of configurations trained with several seeds."""

    def but_for_the_seed(run: Run) -> str:
        return repr({**run[0].config, "seed": None})

    for _, group in groupby(sorted(runs, key=but_for_the_seed), but_for_the_seed):
        results = [result for result, _, _ in group]
        if len(results) > 1:
            shares = [100 * result.accuracy for result in results]
            yield (
                f"{network(results[0].config)}, {results[0].config['recipe']}: {len(shares)} seeds, mean"
                f" {mean(shares):.2f} %, standard deviation {stdev(shares):.2f} (n - 1).\n"
            )


def details(run: Run) -> Iterator[str]:
    """Return the environment of a run, its configuration, and its epochs."""
    result, sessions, history = run
    plan = result.config["machine"]["plan"]
    yield f"\n## {network(result.config)}, {result.config['recipe']}, seed {result.seed}, plan {plan}\n"
    for session in sessions:
        machine = result.config["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in session["versions"].items())
        yield f"* Trained on {session['started'][:10]}: {session['cpu']}, {session['cores']} cores;"
        processes = f"{counted(machine['threads'], 'thread')}, {counted(machine['ranks'], 'rank')}"
        yield f"  {processes}, {machine['precision']}; {versions};"
        yield f"  commit {session['commit']}."
    yield f"* Changed within the run: {', '.join(result.changes) or 'nothing'}."
    yield f"* Data: SHA-256 {result.data} over the SHA-1s of the files.\n"
    yield "```text"
    for section, value in result.config.items():
        pairs = value.items() if isinstance(value, dict) else [(None, value)]
        yield from (f"{section}{'.' + key if key else ''} = {item}" for key, item in pairs)
    yield "```\n"
    yield "| epoch | learning rate | training loss | training % | test % | images/s |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for line in history:
        training = f"{line['train_loss']:.4f} | {100 * line['train_accuracy']:.2f}"
        test = f"{100 * line['test_accuracy']:.2f} | {line['images_per_second']:,.0f}"
        yield f"| {line['epoch']} | {line['rate']:.5f} | {training} | {test} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--title", default="Results", help="The heading of the page.")
    parser.add_argument("--remark", default="", help="A sentence about the circumstances.")
    arguments = parser.parse_args()
    runs = [read(path) for path in arguments.runs]
    print(INTRODUCTION.format(title=arguments.title))
    print("\n".join(overview(runs)), end="\n\n")
    print("\n".join([*spreads(runs), *([arguments.remark] if arguments.remark else [])]))
    print("\n".join(line for run in runs for line in details(run)))


if __name__ == "__main__":
    main()

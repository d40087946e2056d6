"""Plant defects one by one, and show which check finds each: `python benchmarks/mutants.py [--only TEXT]`.

Two kinds of mutants. Small ones are made from the syntax trees of formulas and layers: an operator, a
constant or a comparison is changed. Planned ones are conditions, such as "twice the work where 3 divides the
batch". Each mutant lives in a process of its own, forked before the project is imported; its source exists in
memory only.

A mutant meets `prove` claim by claim until one fails, the cheap ones first; if none of these fails, `verify`
of three networks, and then the rest of `prove`. `--every-check` shows `verify` the others too.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import json
import os
import resource
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutant:
    """A defect: what it is, and the source of one module that has it."""

    name: str
    kind: str
    module: str
    source: str


# Files whose syntax trees are changed, and how many mutants each of them gives.
SMALL = {
    "costmodel/operators/standard.py": 10,
    "costmodel/operators/elementwise.py": 8,
    "costmodel/operators/octave.py": 8,
    "costmodel/operators/pwise_octave.py": 4,
    "costmodel/operators/recorder.py": 8,
    "costmodel/networks/network.py": 8,
    "costmodel/networks/resnet.py": 4,
    "costmodel/rounding.py": 5,
    "pwoct/octave.py": 9,
    "pwoct/pwise_octave.py": 3,
    "pwoct/branches.py": 7,
    "pwoct/channels.py": 4,
    "pwoct/paths.py": 5,
    "pwoct/resnet.py": 9,
}

OPERATORS = {
    ast.Mult: ast.Add,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
COMPARISONS = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Gt: ast.GtE, ast.Lt: ast.LtE, ast.In: ast.NotIn}


class _Change(ast.NodeTransformer):
    """Changes the n-th place of a syntax tree that can be changed, and says how."""

    def __init__(self, place: int) -> None:
        self.left, self.said = place, ""

    def _is_here(self, said: str, node: ast.AST) -> bool:
        self.left -= 1
        if self.left == -1:
            self.said = f"line {getattr(node, 'lineno', 0)}: {said}"
        return self.left == -1

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        new = OPERATORS.get(type(node.op))
        text = isinstance(node.left, ast.JoinedStr) or isinstance(node.right, ast.JoinedStr)
        if new is not None and not text and self._is_here(f"{ast.unparse(node)}: {new.__name__}", node):
            return ast.BinOp(node.left, new(), node.right)
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        new = COMPARISONS.get(type(node.ops[0]))
        if new is not None and self._is_here(f"{ast.unparse(node)}: {new.__name__}", node):
            return ast.Compare(node.left, [new(), *node.ops[1:]], node.comparators)
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if type(node.value) is int and self._is_here(f"{node.value}: {node.value + 1}", node):
            return ast.copy_location(ast.Constant(node.value + 1), node)
        if type(node.value) is bool and self._is_here(f"{node.value}: {not node.value}", node):
            return ast.copy_location(ast.Constant(not node.value), node)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        if self._is_here(f"{ast.unparse(node)}: {type(other).__name__}", node):
            return ast.BoolOp(other, node.values)
        return self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        if self._is_here(f"{ast.unparse(node)}: the other way round", node):
            return ast.IfExp(node.test, node.orelse, node.body)
        return self.generic_visit(node)


def small_mutants() -> Iterator[Mutant]:
    """Yield mutants of syntax trees, spread evenly over each file."""
    for path, wanted in SMALL.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        counter = _Change(10**6)
        counter.visit(ast.parse(text))
        places = 10**6 - counter.left
        for index in range(wanted):
            change = _Change((2 * index + 1) * places // (2 * wanted))
            tree = ast.fix_missing_locations(change.visit(ast.parse(text)))
            yield Mutant(f"{path} {change.said}", "small", _module(path), ast.unparse(tree))


def planned_mutants() -> Iterator[Mutant]:
    """Yield the mutants of the table beside this file."""
    for path, group in json.loads((ROOT / "benchmarks/mutants.json").read_text(encoding="utf-8")).items():
        text = (ROOT / path).read_text(encoding="utf-8")
        for name, old, new in group:
            if text.count(old) < 1:
                raise ValueError(f"{path} has no {old!r} to be changed: {name}")
            yield Mutant(f"{path} {name}", "planned", _module(path), text.replace(old, new, 1))


def _module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


class _Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module in memory."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002
        return importlib.util.spec_from_loader(name, self) if name == self._mutant.module else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.source, self._mutant.name, "exec"), vars(module))


MOST_SECONDS = 150  # of processor time for one mutant; over it, the checks that were under way found nothing
# Claims that meet each mutant first, cheap ones before; of a theorem, its first run.
QUICK: Sequence[str] = (
    *("random networks", "random layers", "formulas of paths", "named depth", "linear", "pointwise"),
    *("OctConv", "any number of groups", "any odd kernel", "closed forms", "grids", "plain", "Oct, image"),
)
# Which of them meet the mutants of a folder before the others: those that read it.
FIRST = {"costmodel.grids": "grids", "costmodel.networks.closed_form": "closed forms"}
FIRST |= {"costmodel.operators.layer": "formulas of paths", "costmodel.networks.resnet": "named depth"}


def verdict(mutant: Mutant, every_check: bool) -> dict[str, str]:
    """Return what each check says of a mutant: why it fails, or nothing."""
    sys.meta_path.insert(0, _Planted(mutant))
    sys.path.insert(0, str(ROOT))
    found: dict[str, str] = {}
    checks: dict[str, Callable[[], str]] = {"prove": partial(_prove_quickly, mutant.module)}
    checks |= {"verify": _verify, "prove, rest": _prove_rest}
    for name, check in checks.items():
        if any(found.values()) and (name == "prove, rest" or not every_check):
            continue
        try:
            found[name] = check()
        except BaseException as error:  # an import that fails, too, ends the command
            found[name] = f"{type(error).__name__}: {error}"[:200]
    found["prove"] = found["prove"] or found.pop("prove, rest", "")
    return found


def _prove_quickly(module: str) -> str:
    first = {text for folder, text in FIRST.items() if module.startswith(folder)}
    order = sorted(QUICK, key=lambda text: text not in first)
    claims = [claim for text in order for claim in _claims() if text in claim.name]
    return _prove(claims, first=True)


def _prove_rest() -> str:
    return _prove(_claims(), first=False)


def _claims() -> list[Any]:
    from costmodel.checks.claims import CLAIMS

    return [claim for group in CLAIMS.values() for claims in group for claim in claims(False)]


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


def main() -> None:
    """Run the campaign: one JSON line per mutant, or the table of all lines in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose name has this text")
    parser.add_argument("--every-check", action="store_true", help="show each mutant to verify, too")
    parser.add_argument("--part", default="1/1", help="k/n: every n-th mutant, from the k-th on")
    parser.add_argument("--table", type=Path, help="print the table of the lines in that file, and end")
    options = parser.parse_args()
    if options.table:
        print(table(map(json.loads, options.table.read_text(encoding="utf-8").splitlines())))
        return
    import fvcore.nn  # noqa: F401 - imported once, before the forks
    import sympy  # noqa: F401
    import torch._dynamo
    import torch.fx.experimental.symbolic_shapes

    torch.set_num_threads(1)
    part, parts = map(int, options.part.split("/"))
    chosen = [m for m in (*planned_mutants(), *small_mutants()) if options.only in m.name]
    for mutant in chosen[part - 1 :: parts]:
        found = _forked(mutant, options.every_check)
        print(json.dumps({"mutant": mutant.name, "kind": mutant.kind, **found}), flush=True)


def table(lines: Iterable[dict[str, Any]]) -> str:
    """Return a Markdown table of who caught how many of the mutants of each file, and who escaped."""
    by_file: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_file.setdefault(line["mutant"].split()[0], []).append(line)
    everything = [line for found in by_file.values() for line in found]
    rows = [_row(f"`{path}`", found) for path, found in sorted(by_file.items())]
    head = "| file | mutants | by `prove` | by `verify` | by neither |\n| --- | --- | --- | --- | --- |"
    escaped = [f"* `{line['mutant']}`" for line in everything if not _catchers(line)]
    return "\n".join([head, *rows, _row("all", everything), "", *escaped])


def _catchers(line: dict[str, Any]) -> set[str]:
    return {check for check in ("prove", "verify") if line.get(check)}


def _row(title: str, lines: Sequence[dict[str, Any]]) -> str:
    caught = [_catchers(line) for line in lines]
    counts = len(lines), *(sum(check in one for one in caught) for check in ("prove", "verify"))
    return f"| {title} | {' | '.join(map(str, (*counts, sum(not one for one in caught))))} |"


def _forked(mutant: Mutant, every_check: bool) -> dict[str, Any]:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        used = int(sum(os.times()[:2]))
        resource.setrlimit(resource.RLIMIT_CPU, (used + MOST_SECONDS, used + MOST_SECONDS))
        with os.fdopen(writer, "w") as out:
            out.write(json.dumps(verdict(mutant, every_check)))
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

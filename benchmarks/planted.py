"""The mutants of `mutants.py`: each is one defect, as the source of a module that contains it.

Small ones are generated from the syntax trees of formulas and layers: an operator, a constant or a comparison
is changed. Planned ones are conditions, such as "twice the work if 3 divides the batch".
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutant:
    """A defect: its description, and the source of the module that contains it."""

    name: str
    kind: str
    module: str
    source: str


# Files whose syntax trees are changed, and the number of mutants from each.
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


class Change(ast.NodeTransformer):
    """Changes the n-th changeable place of a syntax tree, and records how."""

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
        counter = Change(10**6)
        counter.visit(ast.parse(text))
        places = 10**6 - counter.left
        for index in range(wanted):
            change = Change((2 * index + 1) * places // (2 * wanted))
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


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module in memory."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002
        """Return where the module is found, if it is the changed one."""
        return importlib.util.spec_from_loader(name, self) if name == self._mutant.module else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source."""
        exec(compile(self._mutant.source, self._mutant.name, "exec"), vars(module))

"""Every small change of a module's functions, one at a time, as code objects for `mutation.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from planted import Change

ROOT = Path(__file__).parents[1]
COMPARISONS = {ast.GtE: ast.Gt, ast.LtE: ast.Lt, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.NotIn: ast.In}
Place = tuple[str, str]  # file and qualified name of a function


class EveryChange(Change):
    """More kinds of changes than the campaign of `mutants.py` makes."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Change comparisons the other way, too."""
        new = COMPARISONS.get(type(node.ops[0]))
        if new is not None and self._is_here(f"{ast.unparse(node)}: {new.__name__}", node):
            return ast.Compare(node.left, [new(), *node.ops[1:]], node.comparators)
        return super().visit_Compare(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """Drop a `not` or a sign."""
        if self._is_here(f"{ast.unparse(node)}: without {type(node.op).__name__}", node):
            return node.operand
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Leave out a call whose result is not used; docstrings stay."""
        if isinstance(node.value, ast.Constant):
            return node
        if self._is_here(f"{ast.unparse(node)[:60]}: left out", node):
            return ast.Pass()
        return self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        """Leave out an addition in place."""
        return (
            ast.Pass() if self._is_here(f"{ast.unparse(node)}: left out", node) else self.generic_visit(node)
        )

    def visit_Return(self, node: ast.Return) -> ast.AST:
        """Return None."""
        if node.value is not None and self._is_here(f"{ast.unparse(node)[:60]}: None", node):
            return ast.Return(ast.Constant(None))
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        """Give None for an argument; `zip` is strict for readers, where lengths are equal anyway."""
        if node.arg == "strict":
            return node
        given = not (isinstance(node.value, ast.Constant) and node.value.value is None)
        if given and self._is_here(f"{ast.unparse(node)[:60]}: None", node.value):
            return ast.keyword(node.arg, ast.Constant(None))
        return self.generic_visit(node)


@dataclass(frozen=True)
class Mutant:
    """A changed module as a code object, and the function that differs."""

    name: str
    place: Place
    code: CodeType


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield the mutants of all functions of a file."""
    text = path.read_text(encoding="utf-8")
    for index, (name, _) in enumerate(_functions(ast.parse(text))):
        count = 0
        while True:
            tree = ast.parse(text)
            _, node = [*_functions(tree)][index]
            change = EveryChange(count)
            closes = any(isinstance(part, ast.Name) and part.id == "super" for part in ast.walk(node))
            node.body = [change.visit(statement) for statement in node.body]
            if not change.said:
                break
            if closes:  # code with a closure is replaced only by code with the same
                node.body.insert(0, ast.Expr(ast.Name("__class__", ast.Load())))
            count += 1
            code = compile(ast.fix_missing_locations(tree), str(path), "exec")
            yield Mutant(f"{path.relative_to(ROOT)} {name} {change.said}", (str(path), name), code)


def _functions(tree: ast.Module) -> list[tuple[str, Any]]:
    """Return the outermost functions and methods, with their qualified names."""
    found: list[tuple[str, Any]] = []
    todo: list[tuple[str, ast.AST]] = [("", tree)]
    while todo:
        prefix, parent = todo.pop(0)
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.FunctionDef):
                found.append((prefix + node.name, node))
            elif isinstance(node, ast.ClassDef):
                todo.append((f"{prefix}{node.name}.", node))
            elif isinstance(node, ast.If):
                todo.append((prefix, node))
    return found

"""The source texts of the project, and what rules about them ask."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


def files(folder: str, *suffixes: str) -> list[str]:
    return sorted(
        path.relative_to(ROOT).as_posix()
        for suffix in suffixes or (".py",)
        for path in (ROOT / folder).rglob(f"*{suffix}")
    )


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Outline:
    """What the rules ask about a source text; each text is parsed once for all of them."""

    imported: tuple[tuple[str, tuple[str, ...]], ...]  # modules, and the names taken from them
    classes: tuple[str, ...]  # those inside functions and classes aside
    functions: tuple[tuple[str, int], ...]  # names, and the lines of their bodies


@cache
def outline(source: str) -> Outline:
    tree = ast.parse(source)
    nodes = [*ast.walk(tree)]
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return Outline(
        tuple(imports_with_names(nodes)),
        tuple(node.name for node in tree.body if isinstance(node, ast.ClassDef)),
        tuple((node.name, body_lines(node)) for node in functions),
    )


@cache
def packages(source: str, *, inside_functions: bool = True) -> set[str]:
    """The top-level packages that a source text imports."""
    if inside_functions:
        return {module.split(".")[0] for module, _ in outline(source).imported}
    return {module.split(".")[0] for module in imports(ast.parse(source))}


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that a syntax tree imports, without what functions or type checkers import."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif not _is_deferred(node):
            yield from imports(node)


def _is_deferred(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return True
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports_with_names(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, tuple(alias.name for alias in node.names)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function from its first statement on, its docstring aside."""
    first = function.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    statements = function.body[1:] if has_docstring else function.body
    return (function.end_lineno or 0) - statements[0].lineno + 1 if statements else 0

"""Imports go one way: costmodel knows no torch outside its bridges, pwoct knows nothing of costmodel."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TORCH_SIDE = {"torch", "fvcore", "pwoct"}
HEAVY = TORCH_SIDE | {"matplotlib", "tensorboard"}

# What compares formulas with code that runs: a folder, and the two files that time networks.
BRIDGES = ("costmodel/checks/", "costmodel/speed/bench.py", "costmodel/speed/ceilings.py")
COMMANDS = "costmodel/commands/"


def imports(tree: ast.AST, *, inside_functions: bool = True) -> Iterator[str]:
    """Every module that a syntax tree imports; on request without what functions or type checkers import."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif inside_functions or not _is_deferred(node):
            yield from imports(node, inside_functions=inside_functions)


def _is_deferred(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return True
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def packages(source: str, *, inside_functions: bool = True) -> set[str]:
    """The top-level packages that a source text imports."""
    tree = ast.parse(source)
    return {module.split(".")[0] for module in imports(tree, inside_functions=inside_functions)}


def files(folder: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py"))


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [p for p in files("costmodel") if not p.startswith((*BRIDGES, COMMANDS))])
def test_costmodel_imports_torch_only_in_bridges(path: str) -> None:
    assert not packages(read(path)) & TORCH_SIDE


def test_only_one_file_imports_fvcore() -> None:
    users = [path for path in files("costmodel") + files("pwoct") if "fvcore" in packages(read(path))]
    assert users == ["costmodel/checks/measure.py"]


@pytest.mark.parametrize("path", files("pwoct"))
def test_pwoct_knows_nothing_of_costmodel(path: str) -> None:
    assert not packages(read(path)) & {"costmodel", "sympy", "fvcore", "cli"}


@pytest.mark.parametrize(
    "path", [p for p in files("costmodel") + files("pwoct") if not p.startswith(COMMANDS)]
)
def test_only_commands_know_the_terminal(path: str) -> None:
    assert not packages(read(path)) & {"typer", "rich"}


@pytest.mark.parametrize("path", files("costmodel/commands"))
def test_commands_import_heavy_packages_inside_functions(path: str) -> None:
    assert not packages(read(path), inside_functions=False) & HEAVY


@pytest.mark.parametrize("bridge", BRIDGES)
def test_the_bridges_exist(bridge: str) -> None:
    assert any(path.startswith(bridge) for path in files("costmodel"))


@pytest.mark.parametrize(
    ("source", "found", "found_at_import"),
    [
        ("import torch.nn as nn", {"torch"}, {"torch"}),
        ("from pwoct.octave import OctConv", {"pwoct"}, {"pwoct"}),
        ("def f():\n    from costmodel.octave import octave", {"costmodel"}, set()),
        ("class C:\n    def f(self):\n        import torch", {"torch"}, set()),
        ("class C:\n    import torch", {"torch"}, {"torch"}),
        ("if TYPE_CHECKING:\n    import torch", {"torch"}, set()),
        ("if True:\n    import fvcore", {"fvcore"}, {"fvcore"}),
        ("try:\n    import rich\nexcept ImportError:\n    pass", {"rich"}, {"rich"}),
    ],
)
def test_the_search_for_imports_can_fail(source: str, found: set[str], found_at_import: set[str]) -> None:
    assert packages(source) == found
    assert packages(source, inside_functions=False) == found_at_import

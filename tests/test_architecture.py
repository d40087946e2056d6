"""Imports go one way: costmodel knows no torch outside its bridge files, pwoct knows nothing of costmodel."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The files of costmodel that compare formulas with code that runs.
BRIDGES = {
    *("measure.py", "observe.py", "defects.py", "verify.py", "generic.py", "factory.py", "verify_sweep.py"),
    *("bench.py", "ceilings.py"),
    *("symbolic.py", "prove.py", "theorems.py", "octave_theorems.py", "network_theorems.py"),
}


def imported_modules(source: str) -> set[str]:
    """Every module that a source text imports, at any depth."""
    return set(_imports(ast.parse(source)))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def tops(source: str) -> set[str]:
    return {module.split(".")[0] for module in imported_modules(source)}


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def is_command(path: Path) -> bool:
    return "commands" in path.parts


@pytest.mark.parametrize("path", files("costmodel"), ids=str)
def test_costmodel_imports_torch_only_in_bridges(path: Path) -> None:
    if path.name not in BRIDGES and not is_command(path):
        assert not tops(path.read_text()) & {"torch", "fvcore", "pwoct"}


@pytest.mark.parametrize("path", files("costmodel"), ids=str)
def test_only_measure_imports_fvcore(path: Path) -> None:
    if path.name != "measure.py":
        assert "fvcore" not in tops(path.read_text())


@pytest.mark.parametrize("path", files("pwoct"), ids=str)
def test_pwoct_knows_nothing_of_costmodel(path: Path) -> None:
    assert not tops(path.read_text()) & {"costmodel", "sympy", "fvcore", "cli"}


@pytest.mark.parametrize("path", files("costmodel") + files("pwoct"), ids=str)
def test_only_commands_know_the_terminal(path: Path) -> None:
    if not is_command(path):
        assert not tops(path.read_text()) & {"typer", "rich"}


@pytest.mark.parametrize("path", files("costmodel/commands"), ids=str)
def test_commands_import_heavy_packages_inside_functions(path: Path) -> None:
    top_level = ast.Module([n for n in ast.parse(path.read_text()).body if not isinstance(n, ast.If)], [])
    imports = {
        m.split(".")[0] for n in top_level.body if not isinstance(n, ast.FunctionDef) for m in _imports(n)
    }
    assert not imports & {"torch", "fvcore", "pwoct", "matplotlib"}


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import torch.nn as nn", "torch.nn"),
        ("def f():\n    from costmodel.octave import octave", "costmodel.octave"),
        ("if True:\n    import fvcore", "fvcore"),
    ],
)
def test_the_search_for_imports_can_fail(source: str, module: str) -> None:
    assert module in imported_modules(source)

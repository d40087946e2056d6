"""Imports go one way: costmodel knows no torch outside its bridges, pwoct knows nothing of costmodel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.sources import ROOT, files, outline, packages, read

# Which folder of costmodel may import which others: what stands further down never imports what stands above.
# "." is what lies in costmodel itself: sizes, convention, rounding, report.
MAY_IMPORT: Mapping[str, frozenset[str]] = {
    ".": frozenset(),
    "operators": frozenset({"."}),
    "networks": frozenset({".", "operators"}),
    "grids": frozenset({".", "operators", "networks"}),
    "speed": frozenset({".", "operators", "networks"}),
    "search": frozenset({".", "operators", "networks", "grids", "speed"}),
    "conversions": frozenset({".", "operators", "search", "tracing"}),
    "tables": frozenset({".", "operators", "networks", "grids", "search", "tracing"}),
    "figures": frozenset({".", "operators", "networks", "grids", "speed"}),
    "paper": frozenset({".", "operators", "networks", "grids", "search", "figures"}),
    "explorer": frozenset(
        {".", "operators", "networks", "grids", "speed", "search", "tables", "tracing", "paper"}
    ),
    "models": frozenset({".", "networks", "tracing"}),
    "tracing": frozenset({".", "operators"}),
    "reconcile": frozenset({".", "models", "tracing"}),
    "checks": frozenset(
        {".", "operators", "networks", "paper", "models", "tracing", "grids", "tables", "search"}
    ),
    "public": frozenset({".", "operators", "networks", "grids", "search", "tables", "checks"}),
    "face": frozenset({".", "public", "tracing"}),  # costmodel/__init__.py
    "commands/shared": frozenset(
        {".", "operators", "networks", "grids", "search", "speed", "tables", "figures"}
        | {"conversions", "models", "reconcile", "tracing"}
    ),
    "commands": frozenset(
        {".", "operators", "networks", "grids", "speed", "search", "tables", "figures", "paper", "explorer"}
        | {"checks", "models", "reconcile", "tracing", "commands/shared"}
    ),
}

TORCH_SIDE = {"torch", "fvcore", "pwoct"}
HEAVY = TORCH_SIDE | {"matplotlib", "tensorboard"}

# What runs code: networks are traced, formulas compared with counters, networks timed.
BRIDGES = (
    "costmodel/checks/",
    "costmodel/conversions/",
    "costmodel/models/",
    "costmodel/reconcile/",
    "costmodel/tracing/",
    "costmodel/outputs.py",
    "costmodel/speed/bench.py",
    "costmodel/speed/bench_any.py",
    "costmodel/speed/ceilings.py",
)
COMMANDS = "costmodel/commands/"
CODE = ("costmodel", "pwoct", "tests", "benchmarks")


# Which folder of pwoct may import which others.
PWOCT_MAY_IMPORT: dict[str, frozenset[str]] = {
    ".": frozenset(),
    "conversion": frozenset({"."}),
    "plan/shared": frozenset({".", "conversion"}),
    "plan/folded": frozenset({".", "plan/shared"}),
    "plan/lean": frozenset({".", "conversion", "plan/shared", "plan/folded"}),
    "plan/graph": frozenset({"conversion", "plan/shared", "plan/folded"}),
    "plan/compiled": frozenset({".", "conversion", "plan/shared", "plan/folded", "plan/lean", "plan/graph"}),
    "plan": frozenset({".", "conversion"})
    | {f"plan/{name}" for name in ("shared", "folded", "lean", "graph", "compiled")},
    "training": frozenset({".", "plan", "plan/lean"}),
    "face": frozenset({".", "conversion", "training"}),  # pwoct/__init__.py
}
TABLES = {"costmodel": MAY_IMPORT, "pwoct": PWOCT_MAY_IMPORT}
INNER = {("commands", "shared"), *(tuple(name.split("/")) for name in PWOCT_MAY_IMPORT if "/" in name)}


def folder_of(path: str) -> str:
    """The folder of its package in which a file lies, as the tables above name it."""
    package, *parents = Path(path).parent.parts
    if path == f"{package}/__init__.py":
        return "face"
    return "/".join(parents[:2] if tuple(parents[:2]) in INNER else parents[:1]) or "."


@cache
def files_imported(source: str, package: str = "costmodel") -> set[str]:
    """The files of a package that a source text imports from."""
    modules = (f"{module}.{name}" for module, names in outline(source).imported for name in ("", *names))
    found = (file_of(module.rstrip(".")) for module in modules if module.split(".")[0] == package)
    return {path for path in found if path is not None}


def file_of(module: str) -> str | None:
    """The file of a module or a package; None for what is neither."""
    path = module.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if (ROOT / file).is_file()), None)


def folders_imported(path: str) -> set[str]:
    """The other folders of its own package that a file imports from."""
    package = path.partition("/")[0]
    return set(map(folder_of, files_imported(read(path), package))) - {folder_of(path)}


@pytest.mark.parametrize("path", files("costmodel") + files("pwoct"))
def test_imports_between_folders_go_one_way(path: str) -> None:
    assert folders_imported(path) <= TABLES[path.partition("/")[0]][folder_of(path)]


@pytest.mark.parametrize("package", TABLES)
def test_the_tables_of_imports_have_no_circle_and_no_empty_permission(package: str) -> None:
    TopologicalSorter(TABLES[package]).prepare()
    used: dict[str, set[str]] = {folder: set() for folder in TABLES[package]}
    for path in files(package):
        used[folder_of(path)] |= folders_imported(path)
    assert used == {folder: set(others) for folder, others in TABLES[package].items()}


@pytest.mark.parametrize("path", [p for p in files("costmodel/commands") if "/shared/" not in p])
def test_commands_import_no_other_command(path: str) -> None:
    assert "commands" not in set(map(folder_of, files_imported(read(path))))


@pytest.mark.parametrize(
    ("source", "folders"),
    [
        ("from costmodel.search.space import Space", {"search"}),
        ("from costmodel.search import space", {"search"}),
        ("def f():\n    import costmodel.figures.saving", {"figures"}),
        ("from costmodel.commands.shared.errors import say", {"commands/shared"}),
        ("from costmodel.commands import sweep", {"commands"}),
        ("from costmodel.sizes import Size", {"."}),
        ("from costmodel import elementwise, __version__", {"face"}),
        ("from costmodel.models import load", {"models"}),
    ],
)
def test_the_search_for_folders_can_fail(source: str, folders: set[str]) -> None:
    assert set(map(folder_of, files_imported(source))) == folders


@pytest.mark.parametrize("path", [p for p in files("costmodel") if not p.startswith((*BRIDGES, COMMANDS))])
def test_costmodel_imports_torch_only_in_bridges(path: str) -> None:
    assert not packages(read(path)) & TORCH_SIDE


def test_one_file_imports_fvcore_to_check_and_one_among_other_counters() -> None:
    users = [path for path in files("costmodel") + files("pwoct") if "fvcore" in packages(read(path))]
    assert users == ["costmodel/checks/measure.py", "costmodel/reconcile/installed.py"]


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
        ("def f():\n    from costmodel.operators.octave import octave", {"costmodel"}, set()),
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


def test_no_two_modules_define_a_class_of_one_name() -> None:
    homes: dict[str, list[str]] = {}
    for path in files("costmodel") + files("pwoct"):
        for name in outline(read(path)).classes:
            homes.setdefault(name, []).append(path)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1 and not name.startswith("_")} == {}


def test_the_search_for_classes_can_fail() -> None:
    source = "class A:\n    class B: ...\ndef f():\n    class C: ...\n"
    assert outline(source).classes == ("A",)


# typer reads options from one signature: each of their 30 and more is passed on once, line by line.
LONG_BODIES = {
    ("costmodel/commands/bench.py", "bench"),
    ("costmodel/commands/calculator.py", "calculate"),
    ("costmodel/commands/search.py", "search"),
    ("costmodel/commands/train.py", "train"),
}


def has_few_lines(source: str) -> bool:
    return source.count("\n") <= 300


@pytest.mark.parametrize("path", [path for folder in CODE for path in files(folder, ".cpp", ".h", ".js")])
def test_code_in_other_languages_is_short(path: str) -> None:
    assert has_few_lines(read(path))


@pytest.mark.parametrize("path", [path for folder in CODE for path in files(folder)])
def test_modules_and_functions_are_short(path: str) -> None:
    source = read(path)
    assert has_few_lines(source)
    long = {(path, name) for name, lines in outline(source).functions if lines > 40}
    assert long <= LONG_BODIES


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f():\n    return 1", 1),
        ('def f(\n    a,\n    b,\n):\n    """Say."""\n    a = 1\n    return a', 2),
        ('def f():\n    """Say."""', 0),
    ],
)
def test_the_count_of_lines_can_fail(source: str, lines: int) -> None:
    assert not has_few_lines(source + 300 * "\n")
    ((_, found),) = outline(source).functions
    assert found == lines


@pytest.mark.parametrize(
    "folder", ["costmodel/checks", "costmodel/paper", "pwoct/plan/compiled", "pwoct/training"]
)
def test_the_guide_to_a_hard_folder_names_files_that_exist(folder: str) -> None:
    text = read(f"{folder}/README.md")
    named = [name for name in re.findall(r"`([\w/]+(?:\.\w+|/))`", text) if not name.startswith("docs/")]
    assert len(named) >= 5
    places = [ROOT / folder, ROOT / folder / "cpp"]
    assert [name for name in named if not any((place / name).exists() for place in places)] == []

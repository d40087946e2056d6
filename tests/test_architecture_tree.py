"""The drawing of the architecture names every module, and only those."""

from __future__ import annotations

import re

from tests.sources import files, read
from tests.test_architecture import COMMANDS


def drawn(tree: str) -> set[str]:
    """The modules of a tree, as paths without their ending: names, then spaces, then what they are."""
    found, folders = set(), [""]
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        if depth > 5:
            continue  # the line above, continued
        names = re.split(r" {2,}", line.strip())[0].split()
        folders = folders[: depth + 1]
        if names[0].endswith("/"):
            folders.append(folders[-1] + names[0])
        else:
            found |= {folders[-1] + name for name in names}
    return found


def test_the_tree_of_the_architecture_is_true() -> None:
    tree = read("docs/architecture.md").partition("```text\n")[2].partition("```")[0]
    modules = {path.removesuffix(".py") for path in files("costmodel") + files("pwoct") if "/__" not in path}
    listed_elsewhere = {path for path in modules if path.startswith(COMMANDS)}  # by `--help`
    assert drawn(tree) - {"cli.py"} == modules - listed_elsewhere


def test_a_tree_is_read_by_its_indentation() -> None:
    tree = "a/    all\n  b c    two\n  d/\n    e f\n                    both of them\n  g\nh.py  one\n"
    assert drawn(tree) == {"a/b", "a/c", "a/d/e", "a/d/f", "a/g", "h.py"}

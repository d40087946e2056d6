"""Pages whose commands build on one another: files are written, and commands run in the order of the page."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Ran
from tests.test_docs import IN_ORDER, PAGES, agrees

FENCE = r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>python|console)\n(?P<body>.*?)^```"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in PAGES}


def steps(text: str) -> Iterator[tuple[str, str, str]]:
    """The files of a page, ("file", name, content), and its commands, ("run", command, output), in order."""
    for block in re.finditer(FENCE, text, re.MULTILINE | re.DOTALL):
        if block["file"]:
            yield "file", block["file"], block["body"]
        elif block["kind"] == "console":
            for command, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block["body"], re.MULTILINE):
                yield "run", command, shown


def python(script: str) -> Ran:
    """Run a script in this process."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        runpy.run_path(script, run_name="__main__")
    return Ran(0, out.getvalue(), "")


@pytest.mark.usefixtures("counters_here")
@pytest.mark.parametrize("page", [name for name, text in TEXTS.items() if IN_ORDER in text])
def test_commands_of_a_page_print_what_it_shows_one_after_another(
    page: str, pwoct_cost: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    commands = 0
    for kind, what, content in steps(TEXTS[page]):
        if kind == "file":
            Path(what).write_text(content, encoding="utf-8")
            continue
        program, *arguments = shlex.split(what)
        ran = pwoct_cost(*arguments) if program == "pwoct-cost" else python(*arguments)
        assert ran.code == 0, ran.err
        texts = (ran.out, ran.out + ran.err, ran.err + ran.out)
        assert not content or any(agrees(content, text) for text in texts), (what, ran)
        commands += 1
    assert commands >= 8


def test_files_and_commands_come_in_the_order_of_the_page() -> None:
    page = (
        "<!-- file: a.py -->\n```python\nx\n```\n```python\ny\n```\n```console\n$ python a.py\n1\n$ b\n```\n"
    )
    assert [*steps(page)] == [("file", "a.py", "x\n"), ("run", "python a.py", "1\n"), ("run", "b", "")]

"""The documentation: the site builds without a warning, its links lead somewhere, its examples are true."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.conftest import Ran

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
# Written over by Sphinx itself.
RESERVED = {"search", "genindex", "py-modindex"}


@dataclass(frozen=True)
class Example:
    """A command in a page, and what the page says it prints. A line `...` stands for any lines."""

    page: str
    command: str
    shown: str


def examples(page: str, text: str) -> Iterator[Example]:
    """The `pwoct-cost` commands of console blocks; `<!-- not run: why -->` exempts the next block."""
    blocks = re.findall(r"^(<!-- not run: .+ -->\n+)?```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for exempt, block in blocks:
        for command, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            if command.startswith("pwoct-cost") and not exempt:
                yield Example(page, command, shown)


IN_ORDER = "<!-- in order:"  # pages whose commands need the files of those before them: test_docs_in_order.py
EXAMPLES = [
    example
    for path in PAGES
    for text in [path.read_text(encoding="utf-8")]
    for example in examples(path.name, text)
    if IN_ORDER not in text
]


def agrees(shown: str, printed: str) -> bool:
    """Whether a text is what the page shows, but for spaces at the ends of lines."""
    want, got = ("".join(f"{line.rstrip()}\n" for line in text.splitlines()) for text in (shown, printed))
    return doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS)


@pytest.mark.usefixtures("counters_here")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.page}: {example.command}")
def test_commands_print_what_the_page_shows(
    example: Example, pwoct_cost: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = pwoct_cost(*shlex.split(example.command)[1:])
    # A terminal shows results and talk; a page may leave the talk out.
    assert any(agrees(example.shown, text) for text in (ran.out, ran.out + ran.err, ran.err + ran.out)), ran


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_python_examples_are_true(path: Path) -> None:
    found = doctest.testfile(str(path), module_relative=False, encoding="utf-8")
    assert found.failed == 0


def test_the_check_of_examples_can_fail() -> None:
    run = "```console\n$ pwoct-cost a\n1\n...\n3\n$ ls\n```\n"
    text = run + "<!-- not run: slow -->\n```console\n$ pwoct-cost b\n```\n"
    assert list(examples("x", text)) == [Example("x", "pwoct-cost a", "1\n...\n3\n")]
    assert agrees("1\n...\n3\n", "1  \n2\n2\n3\n")
    assert not agrees("1\n...\n3\n", "1\n2\n4\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-c",
        # As `-m sphinx`, but nothing looks for garbage in the trees of the pages: a quarter less time.
        "import gc, sys; gc.disable(); from sphinx.cmd.build import main; sys.exit(main(sys.argv[1:]))",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        folder / "trees",
        DOCS,
        folder / "html",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    built = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "html"


class Links(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.anchors.add(given.get("id", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and "href" in given:
            self.loads.append(given["href"])
        elif "src" in given:
            self.loads.append(given["src"])


def read(path: Path) -> Links:
    return Links(path.read_text(encoding="utf-8"))


def has_anchor(page: Links | None, anchor: str) -> bool:
    """Whether a page has an anchor; none is asked of files that are no pages."""
    return page is None or not anchor or anchor in page.anchors


def dead_links(folder: Path) -> list[str]:
    """Links and loads inside a site that lead to no file, or to no anchor of it."""
    pages = {path: read(path) for path in folder.rglob("*.html") if "_static" not in path.parts}
    dead = []
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            inside = not (parts.scheme or parts.netloc)
            if inside and not (target.is_file() and has_anchor(pages.get(target), unquote(parts.fragment))):
                dead.append(f"{path.name}: {link}")
    return dead


def test_site_has_a_page_for_each_document(site: Path) -> None:
    documents = {path.stem for path in DOCS.glob("*.md")}
    assert not documents & RESERVED
    assert {path.stem for path in site.glob("*.html")} == documents | RESERVED


def test_no_link_inside_the_site_is_dead(site: Path) -> None:
    assert dead_links(site) == []


def test_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loads = {load for path in site.glob("*.html") for load in read(path).loads}
    assert [load for load in loads if urlsplit(load).netloc] == []


def test_mathematics_is_set_by_the_browser_itself(site: Path) -> None:
    text = (site / "derivations.html").read_text(encoding="utf-8")
    assert text.count("<math ") == 6
    assert "<mfrac>" in text
    assert not [load for load in read(site / "derivations.html").loads if "mathjax" in load.lower()]


def test_descriptions_are_not_taken_for_types(site: Path) -> None:
    """napoleon takes what stands before a colon, in the first line about a property, for its type."""
    taken = r'<dt class="field-odd">Type<span class="colon">'
    assert [path.name for path in site.glob("api*.html") if re.search(taken, path.read_text())] == []


def test_the_site_has_the_live_explorer(site: Path) -> None:
    live = site / "live" / "explorer.html"
    assert "live/explorer.html" in read(site / "explorer.html").links
    assert "../index.html" in read(live).links


def test_the_landing_page_shows_the_explorer(site: Path) -> None:
    landing = read(site / "index.html")
    assert "live/explorer.html" in landing.links
    assert any(load.endswith("/explorer.png") for load in landing.loads)


def test_every_page_is_in_a_table_of_contents(site: Path) -> None:
    linked = {link.split("#")[0] for link in read(site / "index.html").links}
    assert {f"{path.stem}.html" for path in DOCS.glob("*.md")} - {"index.html"} <= linked


def test_the_check_of_links_can_fail(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<p id="x"><a href="b.html"></a><a href="#y"></a><a href="#x"></a><img src="c.png">'
    )
    assert dead_links(tmp_path) == ["a.html: b.html", "a.html: #y", "a.html: c.png"]


def test_links_of_the_readme_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    inside = [link.split("#")[0] for link in links if not urlsplit(link).scheme]
    assert [link for link in inside if not (ROOT / link).exists()] == []

from __future__ import annotations

from pathlib import Path

from costmodel.checks.instantiated import layer_counts
from costmodel.paper.choices import Choices
from costmodel.paper.document import FIGURE, document
from costmodel.paper.printed import Paper
from costmodel.paper.reading_tables import Findings
from costmodel.paper.records import read_records

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_what_the_command_writes(paper: Paper, found: Findings, options: Choices) -> None:
    text = document(paper, found, options, read_records([DOCS / "records"]), layer_counts())
    assert (DOCS / "paper.md").read_text(encoding="utf-8") == text


def test_the_figure_is_there() -> None:
    assert (DOCS / FIGURE).is_file()

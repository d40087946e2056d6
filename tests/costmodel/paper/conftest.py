"""What the tests of the paper share: what is printed, and the searches, which take seconds."""

from __future__ import annotations

import pytest

from costmodel.paper.choices import Choices
from costmodel.paper.choices import choices as all_choices
from costmodel.paper.printed import Paper, read_paper
from costmodel.paper.reading_tables import Findings, find


@pytest.fixture(scope="session")
def paper() -> Paper:
    return read_paper()


@pytest.fixture(scope="session")
def found(paper: Paper) -> Findings:
    return find(paper)


@pytest.fixture(scope="session")
def options() -> Choices:
    return all_choices()

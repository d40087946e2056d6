"""A browser for the tests of the explorer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.commands.explorer_page import Explorer

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A training of a second.
SMALL = (
    *("--dataset", "synthetic", "--epochs", "2", "--batch", "64", "--threads", "1", "--precision", "fp32"),
    *("--set", "model.width=4", "--set", "data.train_images=128"),
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; without one the test is skipped, but fails in CI, where it must run."""
    if not CHROMIUM.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must test the explorer in a browser, but there is no {CHROMIUM}")
        pytest.skip(f"needs {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def explorer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a file."""
    from costmodel.explorer.page import page

    path: Path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    path.write_text(page(), encoding="utf-8")
    return path


def _opened(browser: Browser, explorer_file: Path) -> Iterator[Explorer]:
    """A tab of the browser, which takes longer to open than the page does to load."""
    from tests.commands.explorer_page import Explorer

    opened = Explorer(browser, explorer_file)
    yield opened
    opened.close()


tab = pytest.fixture(scope="session")(_opened)
second_tab = pytest.fixture(scope="session")(_opened)  # beside that of `explorer`


@pytest.fixture
def explorer(tab: Explorer, explorer_file: Path) -> Iterator[Explorer]:
    """The page, loaded anew; in the end nothing stands on the console, and nothing else was asked for."""
    tab.turn_to(explorer_file)
    tab.open()
    yield tab
    tab.check()


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory):
    """Where the run that `trained` copies is trained when it is first needed."""
    return tmp_path_factory.mktemp("trained_once")


@pytest.fixture
def trained(pwoct_cost, trained_once, tmp_path):
    """A folder with one finished run."""
    if not (trained_once / "mine" / "result.json").exists():
        train = ("train", "resnet8", *SMALL, "--name", "mine", "--runs", str(trained_once))
        assert pwoct_cost(*train).code == 0
    shutil.copytree(trained_once / "mine", tmp_path / "mine")
    return tmp_path

"""The pictures of the README show what the program prints and shows today."""

from __future__ import annotations

import importlib.util
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import Browser

from tests.commands.explorer_page import Explorer
from tests.conftest import Ran

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_terminal_shows_what_is_printed(pictures: ModuleType, pwoct_cost: Callable[..., Ran]) -> None:
    ran = pwoct_cost(*pictures.COMMAND.split()[1:])
    texts = ET.parse(DOCS / "figures" / "verify.svg").getroot().iter("{http://www.w3.org/2000/svg}text")
    assert [text.text for text in texts] == pictures.terminal_lines(ran.out)


def test_the_explorer_shows_what_is_shown(
    pictures: ModuleType, browser: Browser, explorer_file: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    link, shown = json.loads(image.open(DOCS / "figures" / "explorer.png").text["Shown"])
    explorer = Explorer(browser, explorer_file, viewport=pictures.VIEW)
    page = explorer.open(link)
    assert page.evaluate(pictures.SHOWN) == shown, "make it anew: python docs/pictures.py"
    explorer.close()

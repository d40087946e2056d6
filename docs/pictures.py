"""Make the pictures of the README: `python docs/pictures.py`, with Chromium installed.

Each picture holds, as text, what it shows; `tests/test_pictures.py` compares that with its current output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

FIGURES = Path(__file__).parent / "figures"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]

COMMAND = "pwoct-cost verify resnet20 --alpha 1/4 --beta 2 --paths HL,LH,LL"
HEAD, TAIL = 6, 11  # lines of the output that the picture shows; those between are a line of dots
LETTER, LINE, MARGIN = 8.4, 18, 16  # pixels
STYLE = """
rect { fill: #f6f7f9; stroke: #d8dde5 }
text { fill: #1b2330; font: 14px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace }
@media (prefers-color-scheme: dark) { rect { fill: #1a2029; stroke: #333c4a } text { fill: #e7ebf1 } }
"""

LINK = "#depth=56&size=32&alpha=1/4&beta=2&paths=HL,LH,LL"
VIEW = {"width": 1280, "height": 860}
# What the picture of the page shows, to the last letter.
SHOWN = "document.querySelector('.page').innerText"


def terminal_lines(output: str) -> list[str]:
    """Return what the picture of a terminal shows of a command's output."""
    lines = [line.rstrip() for line in output.splitlines()]
    return [f"$ {COMMAND}", *lines[:HEAD], "...", *lines[-TAIL:]]


def terminal(lines: Sequence[str]) -> str:
    """Return lines of text as an SVG picture of a terminal, in light and dark."""
    width = round(max(map(len, lines)) * LETTER + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    texts = [
        f'<text x="{MARGIN}" y="{MARGIN + LINE * (i + 0.75):g}" xml:space="preserve">{escape(line)}</text>'
        for i, line in enumerate(lines)
    ]
    size = f'viewBox="0 0 {width} {height}" width="{width}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>Output of {escape(COMMAND)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
            *texts,
            "</svg>\n",
        ]
    )


def draw_terminal() -> None:
    """Run the command, and draw what it prints."""
    program, *arguments = COMMAND.split()
    ran = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    (FIGURES / "verify.svg").write_text(terminal(terminal_lines(ran.stdout)), encoding="utf-8")


def draw_explorer() -> None:
    """Photograph the explorer, and write into the picture what it shows."""
    from PIL import Image, PngImagePlugin
    from playwright.sync_api import sync_playwright

    from costmodel.explorer.page import page

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file, picture = Path(folder) / "explorer.html", Path(folder) / "explorer.png"
        file.write_text(page(), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_context(offline=True, viewport=VIEW).new_page()
        tab.goto(file.as_uri() + LINK)
        said = PngImagePlugin.PngInfo()
        said.add_itxt("Shown", json.dumps([LINK, tab.evaluate(SHOWN)]))
        tab.screenshot(path=picture)
        browser.close()
        colours = Image.open(picture).convert("RGB").quantize(128)
        colours.save(FIGURES / "explorer.png", optimize=True, pnginfo=said)


if __name__ == "__main__":
    draw_terminal()
    draw_explorer()

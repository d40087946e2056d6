"""The explorer's page in a browser, as the tests see it: what it shows, and random states of it."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize

from costmodel.grids.grid import PATH_SUBSETS
from costmodel.networks.resnet import ResNetDesign, resnet
from costmodel.operators.octave import PATHS

WAIT_MS = 30_000
VIEW: ViewportSize = {"width": 1440, "height": 900}

# Playwright's `wait_for_function` evaluates a text each time that it asks, which the page's policy forbids.
SHOWN = f"""async (link) => {{
  const end = performance.now() + {WAIT_MS};
  while (document.documentElement.dataset.shown !== link) {{
    if (performance.now() > end) return false;
    await new Promise((resume) => setTimeout(resume, 5));
  }}
  return true;
}}"""

LAYERS = {
    "first": "stages.0.0.conv1",
    "s1": "stages.0.0.conv2",
    "c2": "stages.1.0.conv1",
    "s2": "stages.1.0.conv2",
    "c3": "stages.2.0.conv1",
    "s3": "stages.2.0.conv2",
    "last": "stages.2.{last}.conv2",
    "sc2": "stages.1.0.shortcut",
    "sc3": "stages.2.0.shortcut",
}

# Everything the page shows, as text. A formula with numbers comes back in Python's notation.
READ = """() => {
  const text = (node) => node.textContent;
  const all = (selector, read) => [...document.querySelectorAll(selector)].map(read);
  const python = (node) => {
    if (node.localName === "msup") return `${python(node.children[0])}**${python(node.children[1])}`;
    if (node.children.length) return [...node.children].map(python).join("");
    return node.textContent === "\\u00b7" ? "*" : node.textContent;
  };
  return {
    totals: Object.fromEntries(all("[data-total]", (node) => [node.dataset.total, text(node)])),
    totalChanges: all("#totals [data-beside=plain]", text),
    pinnedChanges: all("#totals [data-beside=pinned]", text),
    flops: text(document.querySelector("#totals [data-beside=flops]")),
    more: text(document.getElementById("more")),
    compared: Object.fromEntries(all(".compared td", (node) =>
      [node.dataset.cell, [text(node.querySelector(".value")), text(node.querySelector(".change"))]])),
    shares: Object.fromEntries(all(".shares td", (node) => [node.dataset.cell, text(node)])),
    rows: all("#layers-body tr", (row) => [...row.children].map(text)),
    foot: all("#layers-foot tr", (row) => [...row.children].map(text))[0],
    notes: all("#notes-list li", text),
    formulas: Object.fromEntries(all(".formula .count", (node) => {
      const numbers = node.closest(".formula").querySelectorAll("math")[1];
      return [node.dataset.formula, [python(numbers), text(node)]];
    })),
    diagram: document.querySelector("#diagram svg").getAttribute("aria-label"),
    boxes: all("#diagram .branch text:not(.title)", text),
    plain: all("#plain-body tr", (row) => [...row.children].map(text)),
    front: all("#front-body tr", (row) => [...row.children].map(text)),
    frontCount: text(document.getElementById("front-count")),
    command: text(document.getElementById("command")),
    pytorch: text(document.getElementById("pytorch")),
    latex: text(document.getElementById("latex")),
    error: text(document.getElementById("error")),
    link: location.hash,
  };
}"""


class Explorer:
    """A page that notes every request and everything on the console."""

    def __init__(self, browser: Browser, file: Path, **options: Any) -> None:
        self.context = browser.new_context(offline=True, **{"viewport": VIEW, **options})
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.console: list[str] = []
        self.address = file.as_uri()
        self.page.on("request", lambda request: self.requests.append(request.url.split("#")[0]))
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(str(error)))

    def turn_to(self, file: Path) -> None:
        """Forget what was shown, and show another file from now on."""
        self.forget()
        self.address = file.as_uri()

    def open(self, link: str = "") -> Page:
        self.page.goto(self.address + link)
        return self.page

    def at(self, width: int, height: int, link: str = "", **media: Any) -> Page:
        """Open the page at another size, in other media: what needs no tab of its own."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(**media)
        return self.open(link)

    def show(self, link: str) -> dict[str, Any]:
        """Follow a link and read the page; the link it then has is the canonical one."""
        self.page.evaluate("(link) => { location.hash = link; }", link)
        assert self.page.evaluate(SHOWN, link), f"{link} is not shown after {WAIT_MS} ms"
        return self.read()

    def read(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.page.evaluate(READ)
        return shown

    def forget(self) -> None:
        """Leave the page, what it may have kept, and how it was looked at."""
        if self.page.url.startswith("file:"):
            self.page.evaluate("localStorage.clear()")
        self.page.goto("about:blank")
        self.page.set_viewport_size(VIEW)
        self.page.emulate_media(
            media="null", color_scheme="null", forced_colors="null", reduced_motion="null"
        )
        self.context.clear_cookies()
        self.requests.clear()
        self.console.clear()

    def close(self) -> None:
        self.context.close()
        self.check()

    def check(self) -> None:
        """Show that the page said nothing on the console and asked for nothing else."""
        assert self.console == []
        assert set(self.requests) <= {self.address}


Choices = dict[str, str]

DEFAULTS: Choices = {
    "depth": "56",
    "size": "32",
    "alpha": "1/4",
    "beta": "2",
    "paths": "HL,LH,LL",
    "width": "16",
    "classes": "10",
    "strideRule": "C",
    "widthRule": "out",
    "between": "none",
    "rows": "stages",
    "layer": "s1",
}
ALWAYS = ("depth", "size", "alpha", "beta", "paths")


def random_choices(random: random.Random) -> Choices:
    """A random state; three in ten choose for each stage, many have sizes that must be rounded."""
    width = random.choice([16, 16, 16, 8, 10, 12, 24, 32, 4])
    chooses = 3 if random.random() < 0.3 else 1
    alphas = [random_ratio(random, 0, 1) for _ in range(chooses)]
    betas = [random_ratio(random, 1, min(width, 9)) for _ in range(chooses)]
    paths = [path_text(random.choice(PATH_SUBSETS)) for _ in range(chooses)]
    return {
        "depth": str(random.choice([8, 8, 14, 20, 20, 26, 32, 44, 56])),
        "size": random.choice(["32", "32", "33", "31x50", "16", "48", "7", "224"]),
        "alpha": joined(alphas),
        "beta": joined(betas),
        "paths": joined(paths),
        "width": str(width),
        "classes": random.choice(["10", "10", "100"]),
        "strideRule": random.choice("CCBA"),
        "widthRule": random.choice(["out", "out", "in", "min", "mean"]),
        "between": random.choice(["none", "none", "bn", "bn_relu"]),
        "rows": random.choice(["stages", "blocks", "layers"]),
        "layer": random.choice(list(LAYERS)),
    }


def random_ratio(random: random.Random, least: int, most: int) -> str:
    if random.random() < 0.15:
        return str(random.choice([least, most]))
    q = random.choice([2, 3, 4, 7, 8, 10, 16, 100])
    return str(Fraction(random.randint(least * q, most * q), q))


def path_text(paths: tuple[str, ...]) -> str:
    return {0: "none", 4: "all"}.get(len(paths), ",".join(paths))


def joined(texts: list[str]) -> str:
    return texts[0] if len(set(texts)) == 1 else "+".join(texts)


def link_of(choices: Choices) -> str:
    keys = [key for key in DEFAULTS if key in ALWAYS or choices[key] != DEFAULTS[key]]
    return "#" + "&".join(f"{key}={choices[key]}" for key in keys)


def network(choices: Choices) -> ResNetDesign:
    sides = [int(side) for side in choices["size"].split("x")]
    return resnet(
        int(choices["depth"]),
        alpha=per_stage(choices["alpha"]),
        beta=per_stage(choices["beta"]),
        paths=[subset(text) for text in per_stage(choices["paths"])],
        width_rule=choices["widthRule"],
        stride_rule=choices["strideRule"],
        between=choices["between"],
        width=int(choices["width"]),
        classes=int(choices["classes"]),
        size=(sides[0], sides[-1]),
    )


def per_stage(text: str) -> tuple[str, ...]:
    values = tuple(text.split("+"))
    return values if len(values) == 3 else values * 3


def subset(text: str) -> tuple[str, ...]:
    return {"none": (), "all": PATHS}.get(text) or tuple(name for name in text.split(",") if name != "none")

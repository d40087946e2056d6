"""The colours of the paths: told apart by everybody, and seen on both papers.

Deficiencies are simulated by the matrices of G. M. Machado et al., "A Physiologically-based Model for
Simulation of Color Vision Deficiency", IEEE TVCG 2009, at full severity; distances are those of Oklab
(B. Ottosson, 2020).
"""

from __future__ import annotations

import itertools
import re

import numpy as np
import numpy.typing as npt
import pytest

from costmodel.explorer.page import asset

Colour = npt.NDArray[np.float64]

VISION = {
    "normal": np.eye(3),
    "protanope": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranope": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanope": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
NAMES = ("HH", "HL", "LH", "LL", "other")
LEAST_DISTANCE = 0.09  # a tenth of the way from black to white
LEAST_CONTRAST = 3.0  # WCAG 2.2, 1.4.11: what one must see to understand a picture


def themes() -> dict[str, dict[str, str]]:
    """The colours of each theme, by their names in the style sheet."""
    css = asset("explorer.css")
    dark = css.index('data-theme="dark"')
    return {
        name: dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part))
        for name, part in (("light", css[:dark]), ("dark", css[dark : css.index("prefers-color-scheme")]))
    }


def linear(colour: str) -> Colour:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def oklab(light: Colour) -> Colour:
    return TO_LAB @ np.cbrt(TO_CONES @ np.clip(light, 0, 1))


def contrast(one: str, other: str) -> float:
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(weights @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_paths_are_told_apart(theme: str, vision: str) -> None:
    seen = {name: oklab(VISION[vision] @ linear(themes()[theme][name])) for name in NAMES}
    distances = {
        (a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in itertools.combinations(NAMES, 2)
    }
    assert {pair: d for pair, d in distances.items() if d < LEAST_DISTANCE} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_paths_are_seen(theme: str) -> None:
    colours = themes()[theme]
    seen = {name: contrast(colours[name], colours["panel"]) for name in NAMES}
    assert {name: ratio for name, ratio in seen.items() if ratio < LEAST_CONTRAST} == {}

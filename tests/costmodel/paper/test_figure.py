from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from costmodel.paper.choices import Choices, paper_points, plain_points
from costmodel.paper.figure import draw_choices
from costmodel.paper.printed import Paper

FIGURE = Path(__file__).parents[3] / "docs" / "figures" / "paper-choices.svg"
LABELS = (
    "parameters, millions (1x1 convolutions included)",
    "MACs, millions (one 32x32 image)",
    "configurations",
    "some bottleneck saves nothing",
    "fewest MACs at so many parameters",
    "Pareto front",
    "paper's networks, printed parameters",
    "the same, all convolutions counted",
    "plain ResNet-20, 32, 44, 56",
    "all paths, 0.25",
    "all but HH, 0.25",
)


def test_the_figure_says_what_it_shows(options: Choices, paper: Paper, tmp_path: Path) -> None:
    path = tmp_path / "choices.svg"
    draw_choices(options, plain_points(), paper_points(paper), path)
    text = path.read_text()
    for label in LABELS:
        assert f">{label}</text>" in text, label
    assert path.stat().st_size < 300_000


def test_names_cover_no_network_and_no_other_name(
    options: Choices, paper: Paper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("costmodel.paper.figure.save", lambda figure, *_: drawn.append(figure))
    draw_choices(options, plain_points(), paper_points(paper), tmp_path / "choices.svg")
    (figure,) = drawn
    figure.draw_without_rendering()
    (axes,) = figure.axes
    networks = [
        found for found in axes.collections if found.get_label().split()[0] in ("paper's", "the", "plain")
    ]
    assert len(networks) == 3
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 3 + 4
    places = [axes.transData.transform(place) for found in networks for place in found.get_offsets()]
    assert not any(box.padded(3).contains(*place) for box in boxes for place in places)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_the_same_figure_twice(options: Choices, paper: Paper, tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        draw_choices(options, plain_points(), paper_points(paper), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_an_unknown_format(options: Choices, paper: Paper, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a figure is a file .svg, .png or .pdf, got .*choices.docx"):
        draw_choices(options, plain_points(), paper_points(paper), tmp_path / "choices.docx")


def test_the_figure_of_the_documentation_shows_the_same() -> None:
    text = FIGURE.read_text()
    assert all(f">{label}</text>" in text for label in LABELS)
    assert len(text) < 300_000

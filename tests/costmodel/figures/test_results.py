"""Figures say what the results say: series, labels, units; in files that are the same each time."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from costmodel.figures.curves import draw_curves
from costmodel.figures.results import BARS, LINES, figure_of, read
from costmodel.figures.saving import save
from costmodel.figures.style import series
from costmodel.networks.resnet import resnet
from costmodel.networks.wording import describe
from costmodel.operators.recorder import cost_of
from costmodel.report import to_json
from costmodel.search.search import search
from costmodel.search.search_table import describe_search, front_table
from costmodel.search.space import space
from costmodel.tables.counting import Totals
from costmodel.tables.network import per_layer_table
from costmodel.tables.sweep import sweep_table

pytest.importorskip("matplotlib")


def sweep_document(**arguments: Any) -> Any:
    table = sweep_table(space(alphas=[0, "1/4", "1/2"], **arguments))
    return json.loads(to_json("sweep", {"model": "resnet56", "quantities": ["params", "macs"]}, [table]))


@pytest.mark.parametrize("sets", [[()], [(), ("HL", "LH", "LL")], [(), ("HH",), ("LL",), ("HH", "LL")]])
def test_the_title_of_a_sweep_fits(sets: list[tuple[str, ...]]) -> None:
    figure = figure_of(sweep_document(path_sets=sets))
    figure.draw_without_rendering()
    (title,) = (text for text in figure.texts if text.get_text() == figure.get_suptitle())
    box = title.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


def front_document(budgets: dict[str, Any], **question: Any) -> Any:
    found = search(space(alphas=[0, "1/4", "1/2", "3/4"]), budgets, **question)
    table = front_table(found, range(len(found)))
    return json.loads(to_json("search", describe_search(found, budgets), [table]))


def layers_document(depth: int = 14, **choices: Any) -> Any:
    net = resnet(depth, **{"alpha": "1/4", **choices})
    payload = {"model": f"resnet{depth}", **describe(net.stages)}
    return json.loads(to_json("calculator", payload, [per_layer_table(net, Totals())]))


def test_sweep_has_a_line_for_every_set_of_paths() -> None:
    document = sweep_document()
    figure = figure_of(document)
    assert len(figure.axes) == 2 * 4
    drawn = [
        (column, list(line.get_xdata()), list(line.get_ydata()))
        for column, axes in enumerate(figure.axes[:4])
        for line in axes.get_lines()
    ]
    assert len(drawn) == 16
    rows = {row["paths"]: [] for row in document["sweep"]}
    for row in document["sweep"]:
        rows[row["paths"]].append(row["params"])
    legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes[4:]]
    labels = [label for legend in legends for label in legend]
    assert {label: y for label, (_, _, y) in zip(labels, drawn, strict=True)} == rows
    assert rows["none"] == [855_578] * 3
    assert all(x == [0, 0.25, 0.5] for _, x, _ in drawn)


def test_sweep_says_quantities_and_units() -> None:
    figure = figure_of(sweep_document())
    assert [axes.get_ylabel() for axes in figure.axes[::4]] == ["parameters", "MACs"]
    assert figure.axes[-1].get_xlabel() == "alpha (share of low-frequency channels)"
    assert figure.get_suptitle() == "resnet56, beta 2: cost against alpha, by the paths that have bottlenecks"
    legend = figure.axes[-1].get_legend()
    assert legend.get_title().get_text() == "bottlenecks on"
    assert [text.get_text() for text in legend.get_texts()] == ["HH,LL", "HH,HL,LL", "HH,LH,LL", "all"]
    assert figure.axes[0].yaxis.get_major_formatter()(400_000) == "400k"


def test_sweep_draws_only_what_is_there_and_each_beta_apart() -> None:
    figure = figure_of(sweep_document(betas=[2, 4], path_sets=[(), ("HL",), ("HH", "LH")]))
    labels = [axes.get_ylabel() for axes in figure.axes[::2]]
    assert labels == ["parameters, beta 2", "parameters, beta 4", "MACs, beta 2", "MACs, beta 4"]
    assert [len(axes.get_lines()) for axes in figure.axes[:4]] == [2, 1, 2, 1]
    two, four = (axes.get_lines()[1].get_ydata()[1] for axes in (figure.axes[0], figure.axes[2]))
    assert two > four


def test_panels_of_a_row_hold_the_largest_value_of_all() -> None:
    """At alpha 0, bottlenecks but on HH leave the network plain, which is the largest."""
    document = sweep_document(path_sets=[("HH",), ("HL", "LH", "LL")])
    for axes in figure_of(document).axes[:2]:
        low, high = axes.get_ylim()
        assert low == 0
        assert high > 855_578


def test_ticks_are_not_rounded() -> None:
    label = figure_of(front_document({})).axes[0].yaxis.get_major_formatter()
    assert [label(value) for value in (147_500, 1_250_000, 0)] == ["147.5k", "1.25M", "0"]


def test_lines_differ_without_colour() -> None:
    looks = [(style["linestyle"], style["marker"]) for style in LINES.values()]
    assert len({dash for dash, _ in looks}) == len({marker for _, marker in looks}) == len(looks)
    hatches = [style.get("hatch") for _, style in BARS.values()]
    assert len(set(hatches)) == len(hatches)


def test_front_of_two_quantities_is_a_staircase_with_budgets() -> None:
    document = front_document({"macs": 60_000_000, "params": 400_000})
    axes = figure_of(document).axes[0]
    stairs, *budgets = axes.get_lines()
    points = sorted((row["macs"], row["params"]) for row in document["front"])
    assert list(zip(stairs.get_xdata(), stairs.get_ydata(), strict=True)) == points
    assert stairs.get_drawstyle() == "steps-post"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("MACs", "parameters")
    assert axes.get_title() == "resnet56: 1 point of 64 configurations"
    assert [line.get_label() for line in budgets] == ["budget: 60,000,000 MACs", "budget: 400,000 parameters"]
    assert list(budgets[0].get_xdata()) == [60_000_000] * 2
    assert list(budgets[1].get_ydata()) == [400_000] * 2


def test_front_of_three_quantities_has_a_colour_scale() -> None:
    document = front_document({}, minimise=["activations", "calls"])
    figure = figure_of(document)
    axes, scale = figure.axes
    points = axes.collections[0]
    assert points.get_offsets().tolist() == [[row["macs"], row["params"]] for row in document["front"]]
    assert points.get_array().tolist() == [row["activations"] for row in document["front"]]
    assert scale.get_ylabel() == "activation elements"
    assert axes.get_title().endswith("; not shown: calls")


def test_front_says_what_is_to_be_large() -> None:
    axes = figure_of(front_document({"macs": 60_000_000}, maximise=["params"])).axes[0]
    assert axes.get_ylabel() == "parameters (maximised)"
    assert axes.get_lines()[0].get_linestyle() == "None"


def test_front_names_points_and_plain_networks() -> None:
    document = front_document({"macs": 90_000_000}, maximise=["params"])
    axes = figure_of(document).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert "α 3/4, β 2, all" in texts
    plain = axes.collections[0]
    assert plain.get_label() == "plain, by depth"
    costs = {depth: cost_of(resnet(depth).operators()) for depth in (20, 32)}
    assert plain.get_offsets().tolist() == [[cost.macs, cost.params] for cost in costs.values()]
    assert {"20", "32"} <= set(texts)


def test_front_of_a_converted_network_has_no_plain_depths() -> None:
    document = front_document({"macs": 90_000_000}, maximise=["params"])
    document["space"]["model"] = ["timm:resnet50"]
    axes = figure_of(document).axes[0]
    assert not axes.collections
    assert axes.get_title().startswith("timm:resnet50: ")


def test_legends_cover_no_points() -> None:
    for figure in (figure_of(front_document({"macs": 60_000_000})), figure_of(layers_document())):
        assert figure.legends
        assert not any(axes.get_legend() for axes in figure.axes)


def test_series_differ_for_a_long_time() -> None:
    looks = [next(found) for found in [series()] for _ in range(30)]
    assert len({(look["color"], look["marker"]) for look in looks}) == 30
    assert all(a["linestyle"] != b["linestyle"] for a, b in pairwise(looks))


def test_svg_says_title_and_description(tmp_path: Path) -> None:
    save(figure_of(front_document({})), tmp_path / "front.svg", "Fewer <MACs> to the left.")
    first, second, *_ = ElementTree.parse(tmp_path / "front.svg").getroot()
    assert (first.tag.rpartition("}")[2], second.tag.rpartition("}")[2]) == ("title", "desc")
    assert first.text == figure_of(front_document({})).axes[0].get_title()
    assert second.text == "Fewer <MACs> to the left."


def test_pdf_has_truetype_fonts(tmp_path: Path) -> None:
    save(figure_of(front_document({})), tmp_path / "front.pdf")
    assert b"/Type3" not in (tmp_path / "front.pdf").read_bytes()


def curves(*names: str, epochs: int = 2) -> dict[str, list[dict[str, float]]]:
    history = [{"epoch": e, "train_loss": 1 / e, "test_accuracy": 0.5} for e in range(1, epochs + 1)]
    return dict.fromkeys(names, history)


def test_curves_have_whole_epochs_and_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("costmodel.figures.curves.save", lambda figure, *_: drawn.append(figure))
    draw_curves(curves("a", "b"), tmp_path / "x.svg")
    (figure,) = drawn
    for axes in figure.axes:
        assert all(float(tick).is_integer() for tick in axes.get_xticks())
        assert len({line.get_marker() for line in axes.get_lines()}) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


@pytest.mark.parametrize(("runs", "got"), [({}, "no run"), ({"a": [], "b": []}, "2 runs without one")])
def test_curves_of_nothing_are_refused(tmp_path: Path, runs: Any, got: str) -> None:
    with pytest.raises(ValueError, match=f"curves need a run with a finished epoch, got {got}$"):
        draw_curves(runs, tmp_path / "x.svg")
    assert not list(tmp_path.iterdir())


def test_layers_are_bars_by_stage() -> None:
    document = layers_document()
    upper, lower = figure_of(document).axes
    shown = [row for row in document["layers"] if row["layer"] != "sum" and row["activations"]]
    assert [container.get_label() for container in lower.containers] == [
        *("stem", "stage 1", "stage 2", "stage 3", "linear layer"),
    ]
    for axes, key in ((upper, "params"), (lower, "macs")):
        heights = [bar.get_height() for container in axes.containers for bar in container]
        assert heights == [row[key] for row in shown]
    assert upper.containers[0][0].get_height() == 9 * 3 * 16
    assert lower.containers[0][0].get_height() == 9 * 3 * 16 * 32 * 32
    assert [label.get_text() for label in lower.get_xticklabels()] == [row["layer"] for row in shown]
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("parameters", "MACs")


@pytest.mark.parametrize(
    ("choices", "title"),
    [
        ({"alpha": 0}, "resnet8"),
        ({}, "resnet8, alpha 1/4"),
        (
            {"alpha": [0, "1/4", "1/2"], "beta": 4, "paths": ["LL", "HL"]},
            "resnet8, alpha 0+1/4+1/2, beta 4, bottlenecks on HL,LL",
        ),
    ],
)
def test_layers_say_whose_they_are(choices: dict[str, Any], title: str) -> None:
    figure = figure_of(layers_document(8, **choices))
    assert figure.get_suptitle() == title
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *("stem", "stage 1", "stage 2", "stage 3", "linear layer"),
    ]


def test_many_layers_are_named_by_the_first_of_each_stage() -> None:
    lower = figure_of(layers_document(depth=110)).axes[1]
    assert [label.get_text() for label in lower.get_xticklabels()] == [
        *("stem", "stages.0.0.conv1", "stages.1.0.conv1", "stages.2.0.conv1", "fc"),
    ]


@pytest.mark.parametrize(("suffix", "start"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_files_are_the_same_each_time(suffix: str, start: bytes, tmp_path: Path) -> None:
    document = front_document({})
    for name in ("a", "b"):
        save(figure_of(document), tmp_path / (name + suffix))
    first, second = ((tmp_path / (name + suffix)).read_bytes() for name in ("a", "b"))
    assert first == second
    assert first.startswith(start)
    assert b"CreationDate" not in first  # both are of the same second


def test_svg_keeps_text_as_text(tmp_path: Path) -> None:
    save(figure_of(front_document({})), tmp_path / "front.svg")
    texts = {element.text for element in ElementTree.parse(tmp_path / "front.svg").iter()}
    assert {"MACs", "parameters"} <= texts


def test_only_known_types(tmp_path: Path) -> None:
    figure = figure_of(front_document({}))
    with pytest.raises(ValueError, match=r"a figure is a file .svg, .png or .pdf, got .*x.eps"):
        save(figure, tmp_path / "x.eps")
    with pytest.raises(ValueError, match="cannot be written: No such file or directory"):
        save(figure, tmp_path / "nowhere" / "x.svg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"a result must be JSON \(--format json\)"),
        ("[]", "a result must be a JSON object"),
        ("{}", "results of search, sweep, calculator in JSON can be drawn, got one of nothing known"),
        ('{"command": "verify"}', "got one of verify"),
        ('{"command": "calculator"}', "run it with --per-layer"),
        ('{"command": "search"}', "the result of search is not complete: KeyError"),
        ('{"command": "sweep", "sweep": 3}', "the result of sweep is not complete"),
        ('{"command": "calculator", "layers": []}', "the result of calculator is not complete"),
    ],
)
def test_what_cannot_be_drawn(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        figure_of(read(text))

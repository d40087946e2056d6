from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costmodel.paper.printed import Paper, read_paper

Run = Callable[..., Any]

ROOT = Path(__file__).parents[2]
EXCLUSIVE = ("--readings", "--verify", "--choices", "--figure", "--document", "--accuracies")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without runs and records."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("empty")
def test_all_40_cells_match(pwoct_cost: Run) -> None:
    run = pwoct_cost("paper", "--format", "json")
    assert run.code == 0
    assert (run.json["matched"], run.json["of"]) == (40, 40)
    assert [cell["matches"] for cell in run.json["cells"]] == [True] * 40
    assert {"printed", "reading", "with_pointwise", "built"} < set(run.json["cells"][0])
    assert len(run.json["params"]), len(run.json["macs"]) == (24, 16)
    assert {row["network"]: row["built"] for row in run.json["params"]}["Pwise-56 0.25 all"] == 409_482


@pytest.mark.usefixtures("empty")
def test_the_report_fits_a_terminal(pwoct_cost: Run) -> None:
    run = pwoct_cost("paper")
    assert max(map(len, run.out.splitlines())) <= 80
    assert "1.3   Pwise-56 0.25 all         0.31      310,874   yes     413,562     409,482" in run.out


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("md", "| 1.3 | Pwise-56 0.25 all | 0.31 | 310,874 | yes | 413,562 | 409,482 |"),
        ("latex", r"1.3 & Pwise-56 0.25 all & 0.31 & 310,874 & yes & 413,562 & 409,482 \\"),
    ],
)
def test_other_formats(pwoct_cost: Run, written: str, line: str) -> None:
    assert line in pwoct_cost("paper", "--format", written).out.splitlines()


@pytest.mark.usefixtures("empty")
def test_csv(pwoct_cost: Run) -> None:
    rows = list(csv.DictReader(pwoct_cost("paper", "--format", "csv").out.splitlines()))
    (found,) = (row for row in rows if (row["table"], row["row"]) == ("params", "1.3"))
    assert (found["reading"], found["matches"], found["built"]) == ("310874", "True", "409482")


@pytest.mark.usefixtures("empty")
def test_a_cell_that_does_not_follow_is_a_failed_check(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from costmodel.paper import cells
    from costmodel.paper.counting import PRINTED

    monkeypatch.setattr(cells.cells, "__defaults__", (PRINTED.with_pointwise(),))
    run = pwoct_cost("paper", "--format", "json")
    assert run.code == 1
    assert run.json["matched"] == 6 + 16  # the parameters of networks without bottlenecks, and all MACs
    assert sum(cell["matches"] for cell in run.json["cells"]) == 22


@pytest.mark.usefixtures("empty")
def test_the_instantiated_networks_have_the_counts_as_built(pwoct_cost: Run) -> None:
    run = pwoct_cost("paper", "--verify", "--format", "json")
    assert run.code == 0
    counted = {row["row"]: (row["params"], row["macs"], row["equal"]) for row in run.json["instantiated"]}
    assert len(counted) == 24
    assert {equal for _, _, equal in counted.values()} == {True}
    built = {
        (f"{cell['table']}.{cell['row']}", cell["quantity"]): cell["built"] for cell in run.json["cells"]
    }
    for (row, quantity), count in built.items():
        assert counted[row][("params", "macs").index(quantity)] == count
    assert counted["1.3"][:2] == (409_482, 36_473_472)


@pytest.mark.usefixtures("empty")
def test_a_layer_is_judged_as_built_where_it_is_instantiated(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from costmodel.checks import instantiated
    from costmodel.commands import paper

    def judged(*options: str) -> tuple[int, list[Any], list[bool]]:
        run = pwoct_cost("paper", *options, "--format", "json")
        claims = [row.get("built") for row in run.json["verdicts"]]
        return run.code, claims, [row["equal"] for row in run.json.get("instantiated_layers", [])]

    layer_claims = tuple(claim for claim in read_paper().claims if claim.id.startswith("layer-"))
    monkeypatch.setattr(paper, "read_paper", lambda: Paper((), layer_claims, ()))
    assert judged() == (0, [None, None], [])
    assert judged("--verify") == (0, ["63.9: yes"] * 2, [True, True])
    monkeypatch.setattr(instantiated, "PwiseOctConv", lambda *sizes, **_: instantiated.OctConv(*sizes))
    assert judged("--verify") == (1, ["0.0: no"] * 2, [True, False])


@pytest.mark.usefixtures("empty")
def test_a_wrong_network_is_a_failed_check(pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that compresses with another width is told from the formulas' one."""
    from costmodel.checks import instantiated
    from costmodel.commands import paper

    right = instantiated.resnet

    def wrong(depth: int, **options: Any) -> Any:
        return right(depth, **{**options, "width_rule": "in"})

    rows = tuple(row for row in read_paper().rows if row.table == 1)
    monkeypatch.setattr(instantiated, "resnet", wrong)
    monkeypatch.setattr(paper, "read_paper", lambda: Paper(rows, (), ()))
    run = pwoct_cost("paper", "--verify", "--format", "json")
    assert run.code == 1
    different = [row["network"] for row in run.json["instantiated"] if not row["equal"]]
    assert different == ["Pwise-56 0.25 all", "Pwise-56 0.75 all"]


def test_records_fill_the_accuracy_column(pwoct_cost: Run, empty: Path) -> None:
    from tests.costmodel.paper.test_records import result

    for seed, accuracy in enumerate((0.92, 0.94)):
        folder = empty / "runs" / f"run{seed}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(result(accuracy, seed)))
    rows = pwoct_cost("paper", "--format", "json").json["accuracy"]
    assert [row["row"] for row in rows if row["mean"] is not None] == ["3.1"]
    assert [(row["mean"], row["runs"]) for row in rows if row["row"] == "3.1"] == [("93.00", 2)]


def test_a_broken_record_is_one_line(pwoct_cost: Run, empty: Path) -> None:
    (empty / "docs" / "records").mkdir(parents=True)
    (empty / "docs" / "records" / "broken.json").write_text("{")
    run = pwoct_cost("paper")
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("pwoct-cost: error: docs/records/broken.json is not a record of a run: ")


def test_the_report_needs_neither_torch_nor_numpy(empty: Path) -> None:
    script = (
        "import sys, cli\n"
        "try:\n    cli.main(['paper'])\n"
        "except SystemExit as left:\n    assert not left.code\n"
        "sys.exit(str(sorted({'torch', 'numpy', 'matplotlib', 'pydantic'} & set(sys.modules))))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=empty, check=False
    )
    assert ran.stderr.strip() == "[]"


@pytest.mark.usefixtures("empty")
def test_a_figure_without_matplotlib_names_the_extra(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else found(name, *rest)
    )
    for option in ("--figure", "--document"):
        run = pwoct_cost("paper", option, "out.svg")
        assert run.code == 3
        assert "'.[plot]'" in run.err


@pytest.mark.usefixtures("empty")
def test_readings_choices_and_figure(pwoct_cost: Run, empty: Path) -> None:
    best = {
        row["what"]: row["cells"]
        for row in pwoct_cost("paper", "--readings", "--format", "json").json["best"]
    }
    assert (best["parameters"], best["MACs"]) == (24, 16)
    shown = pwoct_cost("paper", "--choices", "--format", "json").json
    assert shown["equal_params"][0]["network"] == "ResNet-20"
    assert pwoct_cost("paper", "--figure", "choices.svg").code == 0
    assert (empty / "choices.svg").read_text().startswith("<?xml")


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--readings", "--verify"],
            f"only one of {', '.join(EXCLUSIVE)} at a time, got --readings, --verify",
        ),
        (["--figure", "x.foo"], "a figure is a file .svg, .png or .pdf, got x.foo"),
        (
            ["--figure", "missing/choices.svg"],
            "missing/choices.svg cannot be written: No such file or directory",
        ),
    ],
)
def test_bad_input_is_one_line(pwoct_cost: Run, arguments: list[str], message: str) -> None:
    run = pwoct_cost("paper", *arguments)
    assert (run.code, run.out, run.err) == (2, "", f"pwoct-cost: error: {message}\n")


def test_the_page_of_accuracies_and_its_figure(pwoct_cost: Run, tmp_path: Path) -> None:
    page = tmp_path / "accuracies.md"
    ran = pwoct_cost("paper", "--accuracies", str(page), "--records", str(ROOT / "docs/records"))
    assert ran.code == 0
    assert page.read_text(encoding="utf-8") == (ROOT / "docs/accuracies.md").read_text(encoding="utf-8")
    assert "<svg" in (tmp_path / "figures/accuracies.svg").read_text(encoding="utf-8")
    missing = pwoct_cost("paper", "--accuracies", str(tmp_path / "no" / "a.md"))
    assert missing.code == 2
    assert "the place of --accuracies" in missing.err


def test_a_record_that_contradicts_itself_makes_no_page(pwoct_cost: Run, tmp_path: Path) -> None:
    records, page = tmp_path / "records", tmp_path / "accuracies.md"
    shutil.copytree(ROOT / "docs/records", records)
    file = min(records.iterdir())
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**content, "accuracy": 0.99}), encoding="utf-8")
    for option in ("--accuracies", "--document"):
        ran = pwoct_cost("paper", option, str(page), "--records", str(records))
        assert ran.code == 1
        assert f"{file}: accuracy is 0.99, but " in ran.err
        assert not page.exists()


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("option", ["--accuracies", "--document"])
def test_a_page_needs_records(pwoct_cost: Run, option: str, tmp_path: Path) -> None:
    ran = pwoct_cost("paper", option, "page.md")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("pwoct-cost: error: no records in docs/records, which is not a folder")
    assert not (tmp_path / "page.md").exists()

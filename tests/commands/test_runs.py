"""Kept records of runs: written by `runs --record`, recomputed by `runs --check`."""

import json
import shutil

import pytest

SMALL = (
    *("--dataset", "synthetic", "--epochs", "1", "--batch", "64", "--threads", "1", "--precision", "fp32"),
    *("--set", "model.width=4", "--set", "data.train_images=64", "--plan", "reference", "--quiet"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the run that all tests copy is trained, once."""
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def records(pwoct_cost, folder, tmp_path):
    """A folder with the record of one finished run, and the folder of the run."""
    if not (folder / "mine" / "result.json").exists():
        train = ("train", "resnet8", *SMALL, "--name", "mine", "--runs", str(folder))
        assert pwoct_cost(*train).code == 0
    shutil.copytree(folder, tmp_path / "runs")
    run = pwoct_cost("runs", "--runs", str(tmp_path / "runs"), "--record", str(tmp_path / "records"))
    assert (run.code, run.err) == (0, f"pwoct-cost: wrote {tmp_path / 'records' / 'mine.json'}\n")
    return tmp_path / "records"


def test_records_are_written_and_hold(pwoct_cost, records):
    run = pwoct_cost("runs", "--check", str(records), "--format", "json")
    [row] = run.json["records"]
    result = json.loads((records.parent / "runs" / "mine" / "result.json").read_text())
    assert run.code == 0
    assert (row["name"], row["holds"], row["correct"]) == ("mine", True, result["correct"])
    assert row["accuracy"] == pytest.approx(100 * result["accuracy"])
    assert {path.name for path in records.iterdir()} == {"mine.json"}


def test_the_paper_reads_them(records):
    from costmodel.paper.records import read_records

    [found] = read_records([records])
    assert (found.dataset, found.depth, found.epochs) == ("synthetic", 8, 1)


def test_a_changed_digit_is_code_1_and_named(pwoct_cost, records):
    text = (records / "mine.json").read_text()
    correct = json.loads(text)["correct"]
    (records / "mine.json").write_text(text.replace(f'"correct": {correct}', f'"correct": {correct + 1}'))
    run = pwoct_cost("runs", "--check", str(records), "--format", "json")
    assert (run.code, run.json["records"][0]["holds"]) == (1, False)
    assert "mine.json: its sha256 does not match its content" in run.err
    assert run.err.endswith("pwoct-cost: error: 2 contradictions in 1 record\n")


def test_a_run_that_contradicts_itself_leaves_the_others_to_be_recorded(pwoct_cost, records, tmp_path):
    runs = tmp_path / "two"
    for name in ("a", "b"):
        shutil.copytree(records.parent / "runs" / "mine", runs / name)
    (runs / "a" / "weights.safetensors").write_bytes(b"other")
    run = pwoct_cost("runs", "--runs", str(runs), "--record", str(tmp_path / "kept"))
    assert run.code == 2
    assert f"{runs / 'a'} contradicts itself: weights.safetensors does not match its result" in run.err
    assert [path.stem for path in (tmp_path / "kept").iterdir()] == ["mine"]


def test_a_copy_under_another_name_is_found(pwoct_cost, records):
    (records / "copy.json").write_text((records / "mine.json").read_text())
    run = pwoct_cost("runs", "--check", str(records))
    assert run.code == 1
    assert "copy.json: its name is mine" in run.err


def test_unfinished_runs_are_passed_over_unless_named(pwoct_cost, records):
    runs = records.parent / "runs"
    (runs / "mine" / "result.json").unlink()
    run = pwoct_cost("runs", "--runs", str(runs), "--record", str(records.parent / "others"))
    assert (run.code, run.err) == (0, "pwoct-cost: mine is not finished: not recorded\n")
    run = pwoct_cost("runs", "mine", "--runs", str(runs), "--record", str(records.parent / "others"))
    assert (run.code, run.out) == (2, "")
    assert "is not finished: only finished runs are recorded" in run.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--check", "{}", "mine"), "--check takes no runs, no --plot and no --record"),
        (("--check", "{}"), "no records in {}"),
        (("--check", "{}/none"), "no records in {}/none, which is not a folder"),
    ],
)
def test_bad_input_is_one_line(arguments, message, pwoct_cost, tmp_path):
    run = pwoct_cost("runs", *(part.format(tmp_path) for part in arguments))
    assert (run.code, run.out) == (2, "")
    assert run.err == f"pwoct-cost: error: {message.format(tmp_path)}\n"


def test_what_is_no_json_is_named_among_the_others(pwoct_cost, records):
    (records / "damaged.json").write_text("{")
    run = pwoct_cost("runs", "--check", str(records), "--format", "json")
    assert {row["name"]: row["holds"] for row in run.json["records"]} == {"damaged": False, "mine": True}
    assert run.code == 1
    assert "damaged.json: cannot be read as JSON: " in run.err


def test_a_run_is_exported_with_a_card(pwoct_cost, records):
    runs, out = records.parent / "runs", records.parent / "out"
    out.mkdir()
    files = ("--safetensors", str(out / "net.safetensors"), "--torch-export", str(out / "net.pt2"))
    run = pwoct_cost("export", "mi", *files, "--runs", str(runs), "--format", "json")
    assert run.code == 0
    assert [row["what"] for row in run.json["files"]] == ["torch.export", "safetensors"]
    text = (out / "net.pt2.md").read_text()
    result = json.loads((runs / "mine" / "result.json").read_text())
    for words in (
        "A resnet8 of width 4 that classifies synthetic into",
        f"{100 * result['accuracy']:.2f} % of 512 test images ({result['correct']})",
        # stem, a stage of 2 convolutions, twice a stage with a projection, and the linear layer
        f"| 5,166 | {110_592 + 294_912 + 2 * (73_728 + 147_456 + 8_192) + 160:,} |",
        "Recipe `fast`: muon",
        f"| net.safetensors | {run.json['files'][1]['sha256']} |",
    ):
        assert words in text
    assert {path.name for path in out.iterdir()} == {"net.safetensors", "net.pt2", "net.pt2.md"}


@pytest.mark.parametrize("module", ["onnx", "onnxscript", "onnxruntime"])
def test_onnx_is_not_written_unchecked(pwoct_cost, records, tmp_path, monkeypatch, module):
    """Without onnxruntime the file could be written, but not compared with the network."""
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == module else object())
    file = tmp_path / "net.onnx"
    run = pwoct_cost("export", "mine", "--onnx", str(file), "--runs", str(records.parent / "runs"))
    assert (run.code, run.out) == (3, "")
    assert f"error: {module} is missing: install the extra export (pip install '.[export]')\n" in run.err
    assert not file.exists()


def test_an_export_needs_a_file(pwoct_cost, records):
    run = pwoct_cost("export", "mine", "--runs", str(records.parent / "runs"))
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("pwoct-cost: error: nothing to write: give --onnx FILE")

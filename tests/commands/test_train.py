"""`train`, `evaluate`, `runs` and `data` as a user meets them."""

import json
import shutil
import signal
import subprocess
import sys

import pytest

from pwoct.training.data import ARCHIVE, FOLDER
from tests.commands.conftest import SMALL

UNKNOWN_KEY = (
    "unknown key optimiser.rate: the nearest known ones are optimiser.name, optimiser.lr, optimiser.rest_lr"
)
UNKNOWN_MODEL = (
    "unknown model vgg: need resnetN with N = 6n + 2, n >= 1, such as"
    " resnet20, resnet32, resnet44, resnet56, resnet110, resnet1202"
)


def test_a_run_is_trained_then_shown(pwoct_cost, tmp_path):
    arguments = ("train", "resnet8", *SMALL, "--runs", str(tmp_path), "--format", "json")
    first = pwoct_cost(*arguments)
    [row] = first.json["runs"]
    assert first.code == 0
    assert row["epoch"] == 2
    assert row["parameters"] == 5166
    assert "epoch 2/2: loss " in first.err
    assert [path.name for path in tmp_path.iterdir()] == [row["name"]]
    again = pwoct_cost(*arguments)
    assert again.json == first.json
    assert "is already finished: its result is shown" in again.err
    assert "epoch" not in again.err


def test_several_seeds_give_mean_and_deviation(pwoct_cost, tmp_path):
    arguments = ("train", "resnet8", *SMALL, "--seeds", "3,5", "--runs", str(tmp_path), "--quiet")
    run = pwoct_cost(*arguments, "--format", "json")
    a, b = (row["accuracy"] for row in run.json["runs"])
    assert [row["seed"] for row in run.json["runs"]] == [3, 5]
    assert run.err == ""
    shown = pwoct_cost(*arguments)
    deviation = abs(a - b) / 2**0.5  # of two: |a - b| / sqrt 2
    assert f"2 runs: mean {(a + b) / 2:.2f} %, standard deviation {deviation:.2f} (n - 1)" in shown.out


def test_the_last_epoch_is_the_headline(pwoct_cost, trained):
    lines = [json.loads(line) for line in (trained / "mine" / "metrics.jsonl").read_text().splitlines()]
    shown = pwoct_cost("runs", "--runs", str(trained), "--format", "json").json["runs"]
    assert [row["accuracy"] for row in shown] == [100 * lines[-1]["test_accuracy"]]
    assert shown[0]["status"] == "finished"


def test_a_dry_run_leaves_nothing(pwoct_cost, tmp_path):
    run = pwoct_cost(
        *("train", "resnet8", "--alpha", "1/4", "--paths", "HL,LL", *SMALL, "--dry-run"),
        *("--runs", str(tmp_path), "--format", "json"),
    )
    plan = {row["what"]: row["value"] for row in run.json["plan"]}
    assert run.code == 0
    assert plan["parameters"] == plan["parameters by the formulas"] == 4810
    assert (plan["epochs"], plan["steps per epoch"], plan["images per step"]) == (2, 2, 64)
    assert (plan["device"], plan["threads"], plan["ranks"]) == ("cpu", 1, 1)
    assert plan["milliseconds per step"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--alpha", "1.5"), "alpha must be in [0, 1], got 1.5"),
        (("--paths", "HX"), "paths must be some of HH,HL,LH,LL, all or none, got HX"),
        (("--recipe", "quick"), "recipe must be one of fast, paper, keras, got 'quick'"),
        (("--set", "optimiser.rate=1"), UNKNOWN_KEY),
        (("vgg",), UNKNOWN_MODEL),
        (("--set", "epochs"), "a setting must be key=value, got 'epochs'"),
        (("--seeds", "4-2"), "seeds must be different, and ranges must rise, got 4-2"),
        (("--seeds", "x"), "seeds must be like 0, 0,3 or 0-4, and of at most 18 digits, got x"),
        (("--name", "a/b"), "name must be that of a folder, got a/b"),
        (("--epochs", "0"), "epochs must be greater than or equal to 1, got 0"),
        (("--batch", "4096"), "batch must be at most 1280 images, got 4096"),
        (("--device", "tpu"), "machine.device must be 'auto', 'cpu', 'cuda' or 'mps', got 'tpu'"),
    ],
)
def test_bad_input_is_one_line_and_code_2(arguments, message, pwoct_cost, tmp_path):
    run = pwoct_cost("train", "--dataset", "synthetic", "--runs", str(tmp_path), *arguments)
    assert (run.code, run.out) == (2, "")
    assert run.err.strip() == f"pwoct-cost: error: {message}"


def test_a_changed_configuration_is_refused_by_its_keys(pwoct_cost, trained):
    run = pwoct_cost("train", "resnet8", *SMALL, "--lr", "0.3", "--name", "mine", "--runs", str(trained))
    assert run.code == 2
    assert (
        "was begun with different values of optimiser.lr: choose another name, or allow the change" in run.err
    )


def test_missing_data_are_code_4(pwoct_cost, tmp_path):
    run = pwoct_cost("train", "--data", str(tmp_path), "--runs", str(tmp_path / "runs"))
    assert run.code == 4
    assert f"no CIFAR-10 in {tmp_path}: it must hold {FOLDER}/ or {ARCHIVE} (the binary version)" in run.err
    assert not (tmp_path / "runs").exists()


def test_without_data_the_ways_to_get_some_are_said(pwoct_cost, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run = pwoct_cost("train", "--runs", str(tmp_path / "runs"))
    assert run.code == 4
    assert "run `pwoct-cost data fetch`, or give --data DIR; or use --dataset synthetic" in run.err


def test_damaged_data_are_code_4(pwoct_cost, tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"no archive")
    run = pwoct_cost("data", "check", str(tmp_path))
    assert run.code == 4
    assert "is truncated or not a .tar.gz archive" in run.err


def test_a_run_without_a_good_checkpoint_is_code_5(pwoct_cost, trained):
    (trained / "mine" / "result.json").unlink()
    for path in (trained / "mine" / "checkpoints").glob("*/model.safetensors"):
        path.write_bytes(b"")
    run = pwoct_cost("train", "resnet8", *SMALL, "--name", "mine", "--runs", str(trained))
    assert run.code == 5
    assert "no good checkpoint is left" in run.err


def test_what_could_not_be_written_is_code_6(pwoct_cost, tmp_path, monkeypatch):
    import pwoct.training.saver

    store = pwoct.training.saver.store

    def full(folder, checkpoint, keep):
        if checkpoint.step:
            raise OSError(28, "No space left on device")
        return store(folder, checkpoint, keep)

    monkeypatch.setattr(pwoct.training.saver, "store", full)
    run = pwoct_cost("train", "resnet8", *SMALL, "--runs", str(tmp_path))
    assert run.code == 6
    assert "the checkpoint could not be written ([Errno 28] No space left on device)" in run.err
    assert "error: finished, but could not write: checkpoint, result, weights" in run.err
    assert "Test accuracy" in run.out


@pytest.mark.parametrize("extra", [("tensorboard", "--tensorboard"), ("matplotlib", "--plot")])
def test_a_missing_extra_is_code_3(extra, pwoct_cost, tmp_path, monkeypatch):
    module, option = extra
    monkeypatch.setitem(sys.modules, module, None)
    command = ("train", option) if module == "tensorboard" else ("runs", option, str(tmp_path / "a.png"))
    run = pwoct_cost(*command)
    assert run.code == 3
    assert f"{module} is missing: install the extra " in run.err


def test_an_unknown_run_is_said(pwoct_cost, tmp_path):
    run = pwoct_cost("evaluate", "none", "--runs", str(tmp_path))
    assert (run.code, run.err) == (2, f"pwoct-cost: error: no run none in {tmp_path}\n")


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("config.json", "{", "Expecting property name"),
        ("config.json", "[]", "a configuration must be"),
        ("config.json", '{"recipe": "fast"}', "epochs is missing"),
        ("result.json", "{}", "name is missing"),
        ("metrics.jsonl", "no JSON\n", "Expecting value"),
        ("metrics.jsonl", '{"epoch": 1}\n', "step is missing"),
    ],
)
def test_a_damaged_run_is_named_and_the_others_are_shown(file, content, why, pwoct_cost, trained):
    shutil.copytree(trained / "mine", trained / "broken")
    (trained / "broken" / file).write_text(content)
    run = pwoct_cost("runs", "--runs", str(trained), "--format", "json")
    assert run.code == 5
    assert [row["name"] for row in run.json["runs"]] == ["mine"]
    assert run.err.startswith(
        f"pwoct-cost: error: 1 of 2 runs not shown: {trained / 'broken' / file} is damaged: "
    )
    assert why in run.err
    assert len(run.err.splitlines()) == 1


def test_no_run_is_read_from_a_damaged_configuration(pwoct_cost, trained):
    (trained / "mine" / "config.json").write_text("{}")
    for command in (("evaluate", "mine"), ("diff", "mine", "resnet20")):
        run = pwoct_cost(*command, "--runs", str(trained))
        assert (run.code, run.out) == (5, "")
        assert "config.json is damaged: recipe is missing; " in run.err


def test_tensorboard_files_are_written(pwoct_cost, tmp_path):
    arguments = ("train", "resnet8", *SMALL, "--name", "board", "--runs", str(tmp_path), "--tensorboard")
    assert pwoct_cost(*arguments).code == 0
    assert list((tmp_path / "board" / "tensorboard").glob("events.out.tfevents.*"))


def test_a_signal_ends_the_command_with_its_code_and_a_checkpoint(tmp_path):
    """The real command, signalled from outside once it has begun."""
    arguments = ("train", "resnet8", *SMALL, "--epochs", "10000", "--name", "long", "--runs", str(tmp_path))
    command = [sys.executable, "-c", "import cli; cli.main()", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    first = process.stderr.readline()  # an epoch was made
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=300)
    assert "epoch 1/10000" in first
    assert process.returncode == 143
    assert "pwoct-cost: stopped by SIGTERM in epoch" in rest
    assert list((tmp_path / "long" / "checkpoints").glob("step-*"))


def test_two_ranks_train_one_network(tmp_path, pwoct_cost):
    arguments = ("train", "resnet8", *SMALL, "--name", "two", "--runs", str(tmp_path), "--format", "json")
    command = [sys.executable, "-m", "costmodel", *arguments, "--ranks", "2", "--threads", "1", "--quiet"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    (row,) = json.loads(ran.stdout)["runs"]
    assert row["name"] == "two"
    result = json.loads((tmp_path / "two" / "result.json").read_text())
    assert result["config"]["machine"]["ranks"] == 2


def test_a_first_checkpoint_that_cannot_be_written_is_code_5(pwoct_cost, tmp_path, monkeypatch):
    import pwoct.training.saver

    def full(folder, checkpoint, keep):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pwoct.training.saver, "store", full)
    run = pwoct_cost("train", "resnet8", *SMALL, "--runs", str(tmp_path))
    assert (run.code, run.out) == (5, "")
    assert "error: the first checkpoint of " in run.err
    assert "epoch" not in run.err

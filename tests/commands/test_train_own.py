"""`train`, `evaluate`, `export` and `runs` with networks and images of the user's own."""

import importlib.util
import json

import numpy as np
import pytest
import torch

pytest.importorskip("PIL")

from tests.pwoct.training.pictures import write

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=2, width=4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 1, 1)
        self.one, self.bn = nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width)
        self.two, self.fc = nn.Conv2d(width, 2 * width, 3, 2, 1), nn.Linear(2 * width, classes)

    def forward(self, x):
        return self.fc(self.two(self.bn(self.one(self.stem(x))).relu()).mean((2, 3)))
"""
QUICK = ("--epochs", "2", "--batch", "12", "--threads", "1", "--precision", "fp32")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    (folder / "net.py").write_text(NET)
    write(folder / "images", {"train": {"cat": 12, "dog": 12}, "test": {"cat": 4, "dog": 4}})
    return folder


@pytest.fixture
def train(place, pwoct_cost, monkeypatch):
    monkeypatch.chdir(place)

    def run(name, *arguments):
        return pwoct_cost("train", name, "--dataset", "folder:images", *QUICK, *arguments)

    return run


CONVERTED = "convert(net.py:Net(width=8), alpha=1/2, paths='LL', inputs=(1, 3, 8, 8))"


@pytest.mark.parametrize(("name", "plan"), [("net.py:Net", "reference"), (CONVERTED, "lean")])
def test_a_network_is_trained_evaluated_and_exported(name, plan, train, pwoct_cost, tmp_path):
    done = train(name, "--runs", str(tmp_path), "--format", "json")
    assert done.code == 0, done.err
    assert f"{name} is computed by the plan {plan}" in done.err
    assert "24 training and 8 test images (test/) of 2 classes, 8x8; 0 of them were resized" in done.err
    [row] = done.json["runs"]
    again = train(name, "--runs", str(tmp_path))
    assert "is already finished: its result is shown" in again.err
    evaluated = pwoct_cost("evaluate", row["name"], "--runs", str(tmp_path), "--format", "json")
    assert evaluated.json["accuracy"] == row["accuracy"]
    assert all(line["agrees"] for line in evaluated.json["cost"])
    assert [line["class"] for line in evaluated.json["classes"]] == ["cat", "dog"]
    shown = pwoct_cost("runs", "--runs", str(tmp_path), "--format", "json").json["runs"]
    assert [run["model"] for run in shown] == [name]
    check_exported(pwoct_cost, row["name"], tmp_path, name)


def check_exported(pwoct_cost, run, where, name):
    files = ("--torch-export", str(where / "a.pt2"), "--safetensors", str(where / "a.safetensors"))
    has_onnx = all(importlib.util.find_spec(module) for module in ("onnx", "onnxscript"))
    onnx = ("--onnx", str(where / "a.onnx")) if has_onnx else ()
    exported = pwoct_cost("export", run, *files, *onnx, "--runs", str(where))
    assert exported.code == 0, exported.err
    program = torch.export.load(where / "a.pt2").module()
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8))).float()
    assert program(images).shape == (3, 2)
    card = (where / (f"{'a.onnx' if onnx else 'a.pt2'}.md")).read_text()
    assert f"A {name} that classifies folder:images into" in card
    if importlib.util.find_spec("onnxruntime"):
        import onnxruntime

        session = onnxruntime.InferenceSession(where / "a.onnx")
        (logits,) = session.run(None, {"images": images.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), program(images), rtol=1e-3, atol=1e-3)


def test_a_record_of_such_a_run_holds(train, pwoct_cost, tmp_path):
    done = train("net.py:Net", "--runs", str(tmp_path / "runs"), "--name", "mine")
    assert done.code == 0, done.err
    records = tmp_path / "records"
    wrote = pwoct_cost("runs", "mine", "--runs", str(tmp_path / "runs"), "--record", str(records))
    assert wrote.code == 0, wrote.err
    assert pwoct_cost("runs", "--check", str(records)).code == 0
    record = json.loads((records / "mine.json").read_text())
    assert record["config"]["model"]["name"] == "net.py:Net"
    assert len(record["data"]) == 64


def test_a_dry_run_counts_what_runs(train, tmp_path):
    dry = train("net.py:Net", "--dry-run", "--runs", str(tmp_path), "--format", "json")
    plan = {row["what"]: row["value"] for row in dry.json["plan"]}
    assert plan["parameters"] == plan["parameters by the formulas"] == 112 + 148 + 8 + 296 + 18
    macs = 27 * 4 * 64 + 36 * 4 * 64 + 36 * 8 * 16 + 16
    assert plan["MACs per image by the formulas"] == macs
    assert list(tmp_path.iterdir()) == []


def test_images_are_brought_to_a_size(train, tmp_path):
    done = train("net.py:Net", "--image-size", "6", "--runs", str(tmp_path), "--name", "mine")
    assert "2 classes, 6x6; 32 of them were resized" in done.err
    assert json.loads((tmp_path / "mine" / "input.json").read_text())["shape"] == [6, 6, 3]


def test_the_built_in_networks_take_folders_too(train, tmp_path):
    done = train("resnet8", "--width", "4", "--runs", str(tmp_path), "--format", "json")
    assert done.code == 0, done.err
    assert done.json["runs"][0]["parameters"] == 5166 - 8 * (16 + 1)  # 2 classes, not 10


@pytest.mark.parametrize(
    ("name", "arguments", "code", "message"),
    [
        ("net.py:Net(classes=3)", (), 2, "distinguishes 3 classes, but the images have 2: give this number"),
        (
            "net.py:Net",
            ("--alpha", "1/4"),
            2,
            "model: alpha applies to built-in networks; the name of net.py:",
        ),
        ("net.py:None", (), 2, "net.py has no None; it has Net"),
        ("net.onnx", (), 2, "net.onnx is a network without weights to train: name the code"),
        ("net.py:Net", ("--plan", "lean"), 2, "lean does not compute net.py:Net: it needs octave layers"),
        ("net.py:Net", ("--data", "x"), 2, "--dataset folder:images says where the images are"),
        ("net.py:Net", ("--dataset", "folder:none"), 4, "none must hold train/CLASS/*.png"),
        (
            "net.py:Net",
            ("--dataset", "cifar100"),
            4,
            "CIFAR-100 is read from a local folder: give --data DIR",
        ),
        (
            "net.py:Net",
            ("--dataset", "synthetic", "--image-size", "8"),
            2,
            "image_size applies only to folder:DIR",
        ),
        ("timm:nothing", (), {2, 3}, "timm"),
    ],
)
def test_what_cannot_be_trained_is_one_line(name, arguments, code, message, train, tmp_path):
    refused = train(name, *arguments, "--runs", str(tmp_path))
    assert refused.code in (code if isinstance(code, set) else {code})
    assert message in refused.err.splitlines()[-1]
    assert not any(tmp_path.iterdir())


def test_runs_of_own_networks_are_not_diffed_layer_by_layer(train, pwoct_cost, tmp_path):
    assert train("net.py:Net", "--runs", str(tmp_path), "--name", "mine").code == 0
    refused = pwoct_cost("diff", "mine", "resnet8", "--runs", str(tmp_path))
    assert refused.code == 2
    assert "mine is a run of net.py:Net: diff compares runs of built-in networks" in refused.err


def test_each_seed_draws_initial_weights_of_its_own(place, monkeypatch):
    from costmodel.commands.shared.own_training import own_networks
    from pwoct.training.config import compose
    from pwoct.training.networks import build_model

    monkeypatch.chdir(place)
    config = compose(values={"model.name": "net.py:Net"}).model
    with own_networks():
        a, b, again = (build_model(config, 2, 3, seed).stem.weight for seed in (0, 1, 0))
    assert torch.equal(a, again)
    assert not torch.equal(a, b)

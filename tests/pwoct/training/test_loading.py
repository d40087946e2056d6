"""A trained network taken from its run: it recognises what the run says, from images as they are stored."""

import json
import logging
import shutil
import warnings

import pytest
import torch
from safetensors import safe_open
from torch import nn

import pwoct
from pwoct.training import export
from pwoct.training.augment import Normalise
from pwoct.training.export import ExportError, export_onnx, export_program, export_weights
from pwoct.training.loading import Classifier
from pwoct.training.record import DamagedError, RunError
from pwoct.training.synthetic import synthetic
from pwoct.training.train import train
from tests.pwoct.training.tiny import tiny


@pytest.fixture(scope="module", params=["channel", "pixel_mean"])
def run(request, tmp_path_factory, images):
    """The folder of a finished run of an octave network, by each way of normalising."""
    folder = tmp_path_factory.mktemp("loaded") / "run"
    train(tiny(model__alpha="1/2", augmentation__normalise=request.param, ema=0.9), images, folder)
    return folder


def test_a_run_is_loaded_and_recognises_what_it_says(run, images):
    loaded = pwoct.load_run(str(run))
    assert loaded.classes == images.classes
    assert loaded.shape == (16, 16, 3)
    assert loaded.config.model.alpha == ("1/2",)
    assert not loaded.model.training
    stored = images.test.pixels.permute(0, 3, 1, 2)
    with torch.no_grad():
        found = loaded.classifier()(stored).argmax(1)
        by_hand = loaded.model(loaded.normalise(images.test.pixels).permute(0, 3, 1, 2)).argmax(1)
    assert int((found == images.test.labels).sum()) == loaded.result.correct
    assert torch.equal(found, by_hand)


def test_a_run_that_is_not_finished_gives_its_newest_weights(images, tmp_path):
    train(tiny(epochs=1), images, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    loaded = pwoct.load_run(tmp_path / "run")
    assert loaded.result is None
    assert len(loaded.classes) == 10


def test_an_earlier_run_needs_its_data(run, images, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "input.json").unlink()
    with pytest.raises(RunError, match=r"has no input.json, like the runs of early versions"):
        pwoct.load_run(tmp_path / "run")
    with pytest.raises(RunError, match="was trained on different data"):
        pwoct.load_run(tmp_path / "run", synthetic(train=64, test=39, size=16))
    loaded, known = pwoct.load_run(tmp_path / "run", images), pwoct.load_run(run)
    assert torch.equal(loaded.normalise.mean, known.normalise.mean)
    assert torch.equal(loaded.normalise.scale, known.normalise.scale)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": []}, "classes "),
        ({"shape": [16, 16]}, "shape "),
        ({"mean": [1.0]}, "the mean of input.json does not fit images of 16 x 16 x 3"),
        ({"scale": "one"}, "scale"),
    ],
)
def test_a_damaged_input_is_named(change, message, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    file = tmp_path / "run" / "input.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(DamagedError, match=message):
        pwoct.load_run(tmp_path / "run")


def test_no_run_is_said(tmp_path):
    with pytest.raises(RunError, match=r"no run in .*: it has no config.json"):
        pwoct.load_run(tmp_path)


@pytest.fixture(scope="module")
def noise(run):
    loaded = pwoct.load_run(run)
    images = torch.randint(0, 256, (5, 3, 16, 16), generator=torch.Generator().manual_seed(1)).float()
    with torch.no_grad():
        return loaded, images, loaded.classifier()(images)


def exported_once(module, write, path):
    """Write an export; return what torch's exporter, which takes seconds, returned for it."""
    returned = []

    def export_once(*arguments, of=module.export, **options):
        returned.append(of(*arguments, **options))
        return returned[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "export", export_once)
        write(path)
    return returned[0]


@pytest.fixture(scope="module")
def exported(noise, tmp_path_factory):
    """The file of an exported program, and what PyTorch returned for it."""
    file = tmp_path_factory.mktemp("exported") / "a.pt2"
    return file, exported_once(torch.export, lambda path: export_program(noise[0], path), file)


@pytest.fixture(scope="module")
def onnx(noise, tmp_path_factory):
    """An ONNX file, and what PyTorch returned for it."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    file, before = tmp_path_factory.mktemp("onnx") / "a.onnx", logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program = exported_once(torch.onnx, lambda path: export_onnx(noise[0], path), file)
    assert logging.root.manager.disable == before
    return file, program


def test_what_is_exported_computes_the_same(noise, exported, tmp_path):
    loaded, images, expected = noise
    found = torch.export.load(exported[0]).module()(images)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
    export_weights(loaded, tmp_path / "a.safetensors")
    export_weights(loaded, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        facts = {key: json.loads(value) for key, value in file.metadata().items()}
    assert facts["classes"] == list(loaded.classes)
    assert facts["shape"] == [16, 16, 3]
    fresh = pwoct.build("resnet8", alpha="1/2", width=4, classes=10)
    classifier = Classifier(fresh, Normalise(torch.zeros_like(loaded.normalise.mean), torch.ones(())))
    classifier.scale = torch.empty_like(weights["scale"])
    classifier.load_state_dict(weights)
    assert torch.equal(classifier.eval()(images), expected)


def test_onnx_computes_the_same_for_any_number_of_images(noise, onnx):
    import onnxruntime

    _, images, expected = noise
    session = onnxruntime.InferenceSession(onnx[0])
    (found,) = session.run(None, {"images": images.numpy()})
    assert torch.allclose(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)


def test_an_export_that_computes_something_else_is_not_written(noise, exported, tmp_path, monkeypatch):
    loaded, _, _ = noise
    monkeypatch.setattr(export.torch.export, "export", lambda *_, **__: exported[1])
    monkeypatch.setattr(export.torch.export, "load", lambda _: Wrong())
    with pytest.raises(
        ExportError, match="the exported program does not compute the same outputs as the network"
    ):
        export_program(loaded, tmp_path / "a.pt2")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_were_not_written_as_they_are_are_not_kept(noise, tmp_path, monkeypatch):
    loaded, _, _ = noise
    read = export.from_safetensors
    halved = lambda content: {name: value / 2 for name, value in read(content).items()}  # noqa: E731
    monkeypatch.setattr(export, "from_safetensors", halved)
    with pytest.raises(ExportError, match=r"^safetensors: .* does not compute the same outputs"):
        export_weights(loaded, tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_onnx_that_computes_something_else_is_not_written(noise, onnx, tmp_path, monkeypatch):
    import onnxruntime

    class Other:
        def __init__(self, content, providers):
            pass

        def run(self, outputs, inputs):
            return [torch.zeros(len(inputs["images"]), 10).numpy()]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Other)
    monkeypatch.setattr(export.torch.onnx, "export", lambda *_, **__: onnx[1])
    with pytest.raises(ExportError, match=r"^ONNX: .* does not compute the same outputs"):
        export_onnx(noise[0], tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


class Wrong(nn.Module):
    def module(self):
        return lambda images: torch.zeros(len(images), 10)

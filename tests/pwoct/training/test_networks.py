"""Networks of other origin in training: tried out before, resumed to the bit, taken from their runs."""

import json

import pytest
import torch
from torch import nn

from pwoct import convert
from pwoct.training import device
from pwoct.training.config import ConfigError, compose, default_name
from pwoct.training.device import settle
from pwoct.training.inputs import load_dataset
from pwoct.training.learner import settle_plan
from pwoct.training.loading import load_run
from pwoct.training.networks import build_model, built_by, check_own
from pwoct.training.record import RunFolder
from pwoct.training.signals import Signals, StoppedError
from pwoct.training.train import train
from tests.pwoct.networks import needs_compiler
from tests.pwoct.training.notes import Notes
from tests.pwoct.training.tiny import own


class Net(nn.Module):
    """With dropout, so that random numbers of layers must be resumed too."""

    def __init__(self, classes=10, width=4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.one, self.bn = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.two = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.drop, self.fc = nn.Dropout(0.2), nn.Linear(2 * width, classes)

    def forward(self, x):
        x = torch.relu(self.bn(self.one(self.stem(x))))
        return self.fc(self.drop(self.two(x).mean((2, 3))))


class Steady(Net):
    """Without dropout, which kernels do not compute."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Identity()


class Two(Net):
    """Returns two things in training."""

    def forward(self, x):
        y = super().forward(x)
        return (y, y) if self.training else y


class Unused(Net):
    def __init__(self):
        super().__init__()
        self.extra = nn.Linear(2, 2)


def build(name, seed):
    torch.manual_seed(seed)
    if name.startswith("convert("):
        net = Steady() if "Steady" in name else Net()
        return convert(net, alpha="1/2", paths="HL,LH", inputs=(1, 3, 16, 16))
    return Net()


@pytest.fixture
def builder():
    with built_by(build):
        yield


@pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("net.py:Net", "reference"),
        ("convert(net.py:Net)", "lean"),
        pytest.param("convert(net.py:Steady)", "blocked", marks=needs_compiler),
    ],
)
@pytest.mark.usefixtures("builder")
def test_a_stopped_run_resumes_to_the_same_bits(name, plan, tmp_path, images):
    told = Notes()
    own_ = own(
        name, **({"machine.plan": plan} if plan == "blocked" else {})
    )  # or it depends on the processor
    result = train(own_, images, tmp_path / "whole", reporter=told)
    assert told.notes == [f"{name} is computed by the plan {plan} in fp32"]
    signals = Signals()
    with pytest.raises(StoppedError):
        train(
            own_,
            images,
            tmp_path / "parts",
            reporter=Notes(6, lambda: setattr(signals, "stop", 15)),
            signals=signals,
        )
    assert RunFolder(tmp_path / "parts").result() is None
    again = train(own_, images, tmp_path / "parts")
    assert again.weights_sha256 == result.weights_sha256
    assert again.accuracy == result.accuracy
    config = json.loads((tmp_path / "parts" / "config.json").read_text())
    assert (config["model"]["name"], config["machine"]["plan"]) == (name, plan)


@pytest.mark.usefixtures("builder")
def test_the_initial_weights_depend_on_the_seed(tmp_path, images):
    first, second = (own("net.py:Net", seed=seed) for seed in (0, 1))
    a, b, c = (build_model(config.model, 10, 3, config.seed) for config in (first, second, first))
    assert not torch.equal(a.stem.weight, b.stem.weight)
    assert torch.equal(a.stem.weight, c.stem.weight)
    results = [train(config, images, tmp_path / str(config.seed)) for config in (first, second)]
    assert results[0].weights_sha256 != results[1].weights_sha256


def test_a_run_is_loaded_where_its_network_can_be_built(tmp_path, images):
    with built_by(build):
        train(own("convert(net.py:Net)"), images, tmp_path / "run")
        loaded = load_run(tmp_path / "run")
    assert loaded.classifier()(images.test.pixels[:2].permute(0, 3, 1, 2)).shape == (2, 10)
    with pytest.raises(ConfigError, match=r"convert\(net.py:Net\) is not a network of this package: say how"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Net(7), "net.py:Net distinguishes 7 classes, but the images have 10: give this number in its name"),
        (
            Two(),
            r"must return one number per image and class, \(2, 10\) for 2 images; in training it returns tup",
        ),
        (nn.Identity(), r"in evaluation it returns \(2, 3, 16, 16\)"),
        (nn.Conv2d(4, 4, 3), r"does not run on images of 3x16x16: RuntimeError: .* 4 channels"),
        (
            Unused(),
            "has parameters that its output does not depend on: extra.weight, extra.bias; remove them",
        ),
        (
            Net().requires_grad_(False),
            "net.py:Net can't be trained: element 0 of tensors does not require grad",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_line(model, message):
    with pytest.raises(ConfigError, match=message) as error:
        check_own("net.py:Net", model, 10, (3, 16, 16))
    assert "\n" not in str(error.value)


def test_a_trial_leaves_network_and_random_numbers_alone():
    model, state = Net(), torch.get_rng_state()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    check_own("net.py:Net", model, 10, (3, 16, 16))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.usefixtures("builder")
@pytest.mark.parametrize(
    ("name", "plan", "message"),
    [
        (
            "net.py:Net",
            "lean",
            "lean does not compute net.py:Net: it needs octave layers, got Net without one",
        ),
        ("net.py:Net", "blocked", "drop has .*, which draws random numbers; use reference"),
        ("convert(net.py:Net)", "blocked", "drop has .*, which draws random numbers; use lean"),
    ],
)
def test_a_plan_that_does_not_compute_the_network_is_refused(name, plan, message):
    with pytest.raises(ConfigError, match=message):
        settle_plan(own(name, machine__plan=plan), 10, 3, (16, 16))


@pytest.mark.usefixtures("builder")
def test_the_reference_is_taken_where_it_is_asked_for():
    config = own("convert(net.py:Net)", **{"machine.plan": "reference"})
    assert settle_plan(config, 10, 3, (16, 16)).machine.plan == "reference"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"model.alpha": "1/4"},
            "alpha applies to built-in networks; the name of net.py:Net must say everything, such as",
        ),
        ({"model.width": 8, "model.paths": "HL"}, "paths, width apply to built-in networks"),
        ({"data.dataset": "imagenet"}, "must be cifar10, cifar100, synthetic or folder:DIR, got imagenet"),
        ({"data.dataset": "folder:"}, "must name a folder: folder:DIR"),
        ({"data.image_size": 32}, "image_size applies only to folder:DIR; images of cifar10 have one size"),
        (
            {"data.dataset": "folder:x", "data.image_size": "0x4"},
            "must be a size such as 32 or 32x48, got 0x4",
        ),
    ],
)
def test_keys_that_do_not_fit_are_one_line(values, message):
    with pytest.raises(ConfigError, match=message):
        compose(values={"model.name": "net.py:Net", **values})


def test_a_size_is_one_side_or_two():
    sizes = [
        compose(values={"data.dataset": "folder:x", "data.image_size": size}).data.image_size
        for size in (32, "32", "32x48", [32, 48])
    ]
    assert sizes == [(32, 32), (32, 32), (32, 48), (32, 48)]


def test_names_of_runs_are_names_of_folders():
    name = "convert(/data/nets/net.py:Net(width=8), alpha=1/4)"
    config = compose(values={"model.name": name, "data.dataset": "folder:/data/my images"})
    found = default_name(config)
    assert found.startswith("convert-net.py-Net-width=8-alpha=1-4-")
    assert found.endswith("-fast-folder-my-images-seed0")
    other = compose(
        values={"model.name": name.replace("1/4", "1/2"), "data.dataset": "folder:/data/my images"}
    )
    assert default_name(other) != found
    assert not set(default_name(other)) & set("/\\:() ")


def test_a_folder_is_read_by_the_configuration(tmp_path):
    pytest.importorskip("PIL")
    from tests.pwoct.training.pictures import write

    write(tmp_path, {"train": {"a": 2, "b": 2}, "test": {"a": 1, "b": 1}}, size=(6, 8))
    data = compose(values={"data.dataset": f"folder:{tmp_path}", "data.image_size": "4x5"}).data
    assert load_dataset(data).train.pixels.shape == (4, 4, 5, 3)


@pytest.mark.parametrize(("name", "precision"), [("net.py:Net", "fp32"), ("resnet8", "bf16")])
def test_without_a_precision_own_networks_are_computed_in_full_on_a_cpu(name, precision, monkeypatch):
    """In bfloat16, torch may take gradients of strided convolutions on tiny maps from unwritten memory."""
    monkeypatch.setattr(device, "_has_bf16", lambda _: True)
    config = compose(values={"model.name": name, "machine.device": "cpu"})
    assert settle(config).machine.precision == precision
    asked = compose(values={"model.name": name, "machine.device": "cpu", "machine.precision": "bf16"})
    assert settle(asked).machine.precision == "bf16"

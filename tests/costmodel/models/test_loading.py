"""Networks are built by name, without weights; what goes wrong in foreign code is one clear line."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from costmodel.models import load
from costmodel.models.limits import TimeLimitError, time_limit

SOURCE = """
import numpy, sys, torch
from torch import nn
print("talk at import")

class Lib:
    @staticmethod
    def make():
        return nn.Linear(2, 3)

ready = nn.Linear(4, 5)
constant = 3

class Net(nn.Module):
    def __init__(self, width=8, *, depth=1):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(3, width, 1) for _ in range(depth)))
        self.register_buffer("grid", torch.from_numpy(numpy.ones(3)))
        self.plain = torch.from_numpy(numpy.ones(3))

class Rates(nn.Module):
    def __init__(self):
        super().__init__()
        self.rates = [x.item() for x in torch.linspace(0, 1, 3)]
        self.fc = nn.Linear(2, 2)

def huge(): return nn.Linear(10**5, 10**6)
def raises(): raise RuntimeError("\\x1b[31mno such\\x1b[0m\\nand more")
def leaves(): sys.exit(3)
def number(): return 3
def gpu(): return nn.Linear(2, 2).cuda()
def talks():
    print("talk when called")
    return nn.Identity()
def forever():
    while True:
        try:
            while True: pass
        except Exception: pass
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("models")
    (path / "users_models.py").write_text(SOURCE)
    (path / "cli.py").write_text("from torch import nn\nfrom beside import Net\n")
    (path / "beside.py").write_text("from torch import nn\nclass Net(nn.Identity): pass\n")
    (path / "broken.py").write_text("import no_such_module_anywhere\n")
    (path / "parses.py").write_text(
        "import argparse\nargparse.ArgumentParser().parse_args()\nfrom torch.nn import *\n"
    )
    (path / "needs.py").write_text(
        "import argparse\np = argparse.ArgumentParser()\n"
        "p.add_argument('--x', required=True)\np.parse_args()\n"
    )
    (path / "off.py").write_text(
        "import torch\ntorch.set_grad_enabled(False)\nfrom torch.nn import Identity\n"
    )
    return path  # fmt: skip


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", [p for p in sys.path if p])


@pytest.mark.parametrize(
    "name",
    [
        "users_models:Lib.make",
        "users_models.py:Net(width=4)",
        "torch.nn:Identity",
        "torch.nn:Conv2d(3, 4, 1)",
    ],
)
def test_factories_classes_and_files_are_found(name: str) -> None:
    assert isinstance(load(name).module, nn.Module)


def test_a_network_of_any_size_takes_no_memory() -> None:
    network = load("users_models.py:huge")
    assert network.device == "meta"
    assert sum(p.numel() for p in network.module.parameters()) == 10**11 + 10**6


def test_arrays_in_buffers_and_attributes_follow_to_the_meta_device() -> None:
    module = load("users_models.py:Net(4, depth=2)").module
    assert len(module.layers) == 2
    assert {module.grid.device.type, module.plain.device.type} == {"meta"}


def test_what_needs_values_is_built_on_the_cpu_and_says_so() -> None:
    network = load("users_models.py:Rates")
    assert network.device == network.module.fc.weight.device.type == "cpu"
    assert network.note.startswith("users_models.py:Rates is built on the CPU, not on the meta device: ")
    assert "users_models.py, line 24" in network.note


def test_a_ready_network_stays_where_it_is() -> None:
    network = load("users_models.py:ready")
    assert (network.device, network.module.weight.device.type, network.note) == ("cpu", "cpu", "")


def test_a_network_can_be_built_again_elsewhere_the_same_each_time() -> None:
    meta = load("torch.nn:Linear(3, 4)")
    first, second = (load("torch.nn:Linear(3, 4)").on("cpu").module.weight for _ in range(2))
    assert (meta.on("meta") is meta, meta.on("cpu").device) == (True, "cpu")
    assert torch.equal(first, second)


def test_built_in_networks_take_arguments_and_have_an_input() -> None:
    network = load("resnet20(alpha='1/4', paths=['HL'])")
    assert str(network.inputs) == "1,3,32,32"
    assert sum(p.numel() for p in network.module.parameters()) < sum(
        p.numel() for p in load("resnet20").module.parameters()
    )


def test_a_users_cli_py_is_a_file_like_any_other() -> None:
    before = sys.modules.get("cli")
    assert type(load("cli.py:Net").module).__name__ == "Net"
    assert sys.modules.get("cli") is before


def test_foreign_talk_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    load("users_models.py:talks")
    out, err = capsys.readouterr()
    assert (out, "talk when called" in err) == ("", True)


def test_foreign_code_sees_no_arguments_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["pwoct-cost", "cost", "--no-such-option"])
    assert load("parses.py:Identity").device == "meta"


def test_grad_mode_is_put_back() -> None:
    load("off.py:Identity")
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_models:make", "can't import no_such_models: ModuleNotFoundError: .*"),
        ("broken:make", r"can't import broken: ModuleNotFoundError: .*anywhere' \(broken.py, line 1\)"),
        ("broken.py:make", r"can't load broken.py: ModuleNotFoundError: .*anywhere' \(broken.py, line 1\)"),
        ("needs.py:Net", r"can't load needs.py: it ends the program: sys.exit\(2\) \(needs.py, line 4\)"),
        ("nothing.py:make", "there is no file nothing.py"),
        ("users_models:nothing", "users_models has no nothing; it has Lib, Net, Rates, huge, raises, .*"),
        ("users_models:Lib.nothing", "users_models has no Lib.nothing.*"),
        (
            "users_models:raises",
            r"users_models:raises\(\) failed: RuntimeError: no such \(users_models.py, line 28\)",
        ),
        ("users_models:leaves", r"users_models:leaves\(\) failed: it ends the program: sys.exit\(3\).*"),
        ("users_models:Net(deep=3)", r"users_models:Net\(deep=3\) failed: TypeError: .*'deep'.*"),
        ("users_models:number", r"users_models:number\(\) must return an nn.Module, got int"),
        ("users_models:constant", "users_models:constant must be an nn.Module or make one, got int"),
        ("users_models:ready(1)", "users_models:ready is a network already, and takes no arguments: .*"),
        ("users_models:gpu", r"users_models:gpu\(\) failed: .*; costs need no GPU: .*"),
        (
            "users_models:Net(pretrained=True)",
            "weights are never loaded, and costs need none: .*pretrained.*",
        ),
        ("resnet57", "unknown model resnet57: .*"),
        ("resnet56(16)", "options of a built-in network have names, .*"),
        ("resnet56(depht=3)", r"resnet56\(depht=3\): TypeError: .*'depht'.*"),
    ],
)
def test_what_makes_no_network_is_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        load(name)


def test_code_that_runs_for_ever_is_interrupted() -> None:
    started = time.process_time()
    message = r"^building it takes longer than 0.05 s \(--timeout\)$"
    with pytest.raises(TimeLimitError, match=message), time_limit(0.05, "building it"):
        load("users_models.py:forever", device="meta")
    assert time.process_time() - started < 60


def test_without_a_limit_nothing_is_interrupted() -> None:
    with time_limit(None, "nothing"):
        load("torch.nn:Identity")


def test_a_file_of_a_package_is_named_as_a_module(tmp_path: Path) -> None:
    inner = tmp_path / "nets_pkg" / "deep"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").touch()
    (inner / "parts.py").write_text("from torch.nn import Linear as Net\n", encoding="utf-8")
    (inner / "model.py").write_text("from .parts import Net\n", encoding="utf-8")
    words = r"model\.py imports relatively, so it is part of a package: name it as nets_pkg\.deep\.model, in"
    with pytest.raises(ValueError, match=words):
        load(f"{inner / 'model.py'}:Net(2, 3)")

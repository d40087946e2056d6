"""Files of torch.export are read without weights, and without opening a pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from costmodel.models import load


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4)
        self.offset = torch.arange(4.0)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x)).relu().mean((2, 3))
        return self.fc(y) + self.offset  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("exported") / "net.pt2"
    program = torch.export.export(Net().eval(), (torch.zeros(2, 3, 8, 8),))
    torch.export.save(program, str(path))
    return path


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_the_module_runs_and_keeps_its_modules_and_parameters(file: Path, device: str) -> None:
    network = load(str(file), device=device)
    assert {name: tuple(p.shape) for name, p in network.module.named_parameters()} == {
        name: tuple(p.shape) for name, p in Net().named_parameters()
    }
    assert network.module(torch.zeros(2, 3, 8, 8, device=device)).shape == (2, 4)


def test_values_of_weights_are_not_read_but_constants_are(file: Path) -> None:
    module = load(str(file), device="cpu").module
    assert not module.get_parameter("conv.weight").any()
    assert torch.equal(module(torch.zeros(2, 3, 8, 8))[0], torch.arange(4.0))


def rewritten(source: Path, target: Path, change: tuple[bytes, bytes]) -> str:
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            after.writestr(name, before.read(name).replace(*change))
    return str(target)


def test_a_pickle_is_never_opened(file: Path, tmp_path: Path) -> None:
    name = rewritten(file, tmp_path / "a.pt2", (b'"use_pickle": false', b'"use_pickle": true'))
    with pytest.raises(
        ValueError, match=r"^the constant offset is stored as a pickle, and pickles are never opened$"
    ):
        load(name)


def test_what_is_no_such_file_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.pt2").write_text("no archive")
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive:
        archive.writestr("a/b", "c")
    for name in ("text.pt2", "other.pt2"):
        with pytest.raises(ValueError, match=rf"{name} was not written by torch.export.save"):
            load(str(tmp_path / name))
    with pytest.raises(ValueError, match=r"^there is no file nothing.pt2$"):
        load("nothing.pt2")

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from costmodel.checks.factory import build, zeros

SOURCE = """
from torch import nn

class Lib:
    @staticmethod
    def make():
        return nn.Linear(2, 3)

ready = nn.Linear(4, 5)

class Odd(Exception):
    pass

def raises():
    raise Odd("boom\\nand more")

def needs(x):
    return nn.Linear(x, x)

def number():
    return 3

constant = 3
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users_models.py").write_text(SOURCE)
    (tmp_path / "broken_models.py").write_text("import no_such_module_anywhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [p for p in __import__("sys").path if p])


@pytest.mark.parametrize("target", ["users_models:Lib.make", "users_models:ready", "torch.nn:Identity"])
def test_factories_classes_and_modules_are_found(target: str) -> None:
    assert isinstance(build(target), nn.Module)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("users_models", "a model is a name such as resnet56, or package.module:factory; got users_models"),
        ("users_models:", "a model is .*; got users_models:"),
        ("no_such_models:make", "can't import no_such_models: ModuleNotFoundError: .*"),
        (
            "broken_models:make",
            "can't import broken_models: ModuleNotFoundError: .*no_such_module_anywhere.*",
        ),
        ("users_models:nothing", "users_models has no nothing"),
        ("users_models:Lib.nothing", "users_models has no Lib.nothing"),
        ("users_models:raises", r"users_models:raises\(\) failed: Odd: boom"),
        ("users_models:needs", r"users_models:needs\(\) failed: TypeError: .*"),
        ("users_models:number", r"users_models:number\(\) must return an nn.Module, got int"),
        ("users_models:constant", "users_models:constant must be an nn.Module or make one, got int"),
    ],
)
def test_what_makes_no_model_is_refused_in_one_line(target: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        build(target)


@pytest.mark.parametrize("shape", ["", "3,", "a", "0,3", "-1", "1x3", "1, 3"])
def test_a_shape_is_sizes_and_commas(shape: str) -> None:
    with pytest.raises(ValueError, match=r"^input must be sizes joined by commas such as 1,3,224,224, got"):
        zeros(shape)

from __future__ import annotations

import json
from pathlib import Path

import pytest

from costmodel import text as other_side
from pwoct.training.config import ConfigError, compose
from pwoct.training.record import DamagedError, RunFolder
from pwoct.training.text import read_json, read_text

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_both_packages_read_files_of_windows_alike(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(f"α{end}b".encode(encoding))
    assert read_text(path) == other_side.read_text(path) == "α\nb"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_configuration_and_the_files_of_a_run_may_come_from_windows(tmp_path: Path, encoding: str) -> None:
    toml = tmp_path / "mine.toml"
    toml.write_bytes("# größer\r\nepochs = 3\r\n".encode(encoding))
    config = compose(file=toml)
    assert config.epochs == 3
    (tmp_path / "config.json").write_bytes(json.dumps(config.model_dump(mode="json")).encode(encoding))
    epoch = {"epoch": 1, "step": 2, "train_loss": 0.5, "train_accuracy": 0.5, "test_loss": 0.5}
    epoch |= {"test_accuracy": 0.5, "rate": 0.1, "seconds": 1.0, "evaluation_seconds": 1.0}
    epoch |= {"images_per_second": 1.0}
    (tmp_path / "metrics.jsonl").write_bytes(f"{json.dumps(epoch)}\r\n".encode(encoding))
    run = RunFolder(tmp_path)
    assert run.config() == config
    assert [line["epoch"] for line in run.history()] == [1]


def test_deep_nesting_is_an_error_of_its_own(tmp_path: Path) -> None:
    deep = tmp_path / "config.json"
    deep.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(deep)
    with pytest.raises(DamagedError, match=r"config\.json is damaged: it is nested too deeply"):
        RunFolder(tmp_path).config()
    toml = tmp_path / "deep.toml"
    toml.write_text("a = " + "[" * 100_000)
    with pytest.raises(ConfigError, match=r"deep\.toml cannot be read as TOML"):
        compose(file=toml)

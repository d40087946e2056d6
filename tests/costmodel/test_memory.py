from __future__ import annotations

from pathlib import Path

import pytest
import torch

from costmodel import memory


def test_what_fits_is_accepted_and_what_does_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1000)
    memory.check_memory(1000, "this")
    with pytest.raises(ValueError, match=r"^this would need about 1.0 MiB of memory, and 1,000 bytes is"):
        memory.check_memory(2**20, "this")


def test_nothing_is_refused_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: None)
    memory.check_memory(10**30, "this")


def test_this_system_says_how_much_there_is() -> None:
    there = memory.available()
    assert there is None or 0 <= there < 2**60


def test_the_limit_of_a_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    monkeypatch.setattr(memory, "_CONTROL_GROUP", tmp_path)
    assert memory.available() == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() != 2000


@pytest.mark.parametrize("shape", [(2**40,), (2**40, 2**40)])
def test_a_shortage_is_told_from_other_errors(shape: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError) as short:
        torch.empty(shape)
    assert "more memory than there is" in str(memory.shortage(short.value))
    assert memory.shortage(RuntimeError("shapes do not match")) is None
    assert memory.shortage(MemoryError()) is not None


def test_how_much_was_asked_for_is_said() -> None:
    error = RuntimeError(
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4398046511104 bytes."
    )
    assert "4.0 TiB in one piece" in str(memory.shortage(error))

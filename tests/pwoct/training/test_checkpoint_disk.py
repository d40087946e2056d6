"""Checkpoints reach the disk whole, or not at all."""

import errno
import os
from pathlib import Path

import pytest

from pwoct.training import checkpoint
from pwoct.training.checkpoint import newest, store, write_atomically
from tests.pwoct.training.stored import FILES, made, steps, two_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_in(tmp_path)


def test_folders_reach_the_disk_before_and_after_the_rename(folder, monkeypatch):
    synced = []
    monkeypatch.setattr(checkpoint, "_sync", lambda path: synced.append((path, steps(folder))))
    store(folder, made(30))
    write_atomically(folder / "note", b"1")
    part = folder / ".writing-step-0000000030"
    assert synced == [(part, [10, 20]), (folder, [10, 20, 30]), (folder, [20, 30])]


def next_descriptor():
    descriptor = os.dup(1)
    os.close(descriptor)
    return descriptor


def test_all_content_is_on_the_disk_before_the_rename(tmp_path, monkeypatch):
    """Every file whole, then their folder, then the folder of checkpoints; no descriptor stays open."""
    synced = []

    def fsync(descriptor):
        state = os.fstat(descriptor)
        synced.append((state.st_ino, state.st_size))

    before = next_descriptor()
    monkeypatch.setattr(os, "fsync", fsync)
    path = store(tmp_path / "new", made(10))
    assert next_descriptor() == before
    files = [(entry.stat().st_ino, entry.stat().st_size) for entry in map(path.joinpath, FILES)]
    assert synced[:4] == files
    assert [inode for inode, _ in synced[4:]] == [path.stat().st_ino, path.parent.stat().st_ino]


def test_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    write_atomically(tmp_path / "note", b"1")
    assert (tmp_path / "note").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_file_is_replaced_though_an_earlier_attempt_left_its_part(tmp_path):
    (tmp_path / ".note.part").write_bytes(b"half")
    write_atomically(tmp_path / "note", b"whole")
    assert (tmp_path / "note").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_an_error_is_told_though_its_part_is_gone(folder, monkeypatch):
    def vanish(part, made):
        part.rmdir()
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(checkpoint, "_write_files", vanish)
    with pytest.raises(OSError, match="the disk is gone"):
        store(folder, made(30))


@pytest.mark.parametrize("nth", range(5))
def test_a_full_disk_keeps_what_was_there(nth, folder, monkeypatch):
    """At each of the files and at the rename."""
    left = [nth]

    def full(original):
        def write(*arguments):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*arguments)

        return write

    monkeypatch.setattr(checkpoint, "_write", full(checkpoint._write))
    monkeypatch.setattr(Path, "rename", full(Path.rename))
    with pytest.raises(OSError, match="No space left"):
        store(folder, made(30))
    assert steps(folder) == [10, 20]
    assert newest(folder)[0].step == 20
    assert not list(folder.glob(".writing-*"))

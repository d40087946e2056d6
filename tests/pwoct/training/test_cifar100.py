"""CIFAR-100 from small files of its form."""

import io
import tarfile

import numpy as np
import pytest

from pwoct.training import cifar100
from pwoct.training.cifar100 import ARCHIVE, FOLDER, load_cifar100
from pwoct.training.data import DataError


def records(count, seed):
    rows = np.random.default_rng(seed).integers(0, 256, (count, cifar100.RECORD_BYTES)).astype(np.uint8)
    rows[:, 0], rows[:, 1] = np.arange(count) % 20, np.arange(count) % 100
    return rows


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar100, "COUNTS", {"train.bin": 30, "test.bin": 10})
    where = tmp_path / FOLDER
    where.mkdir()
    (where / "train.bin").write_bytes(records(30, 0).tobytes())
    (where / "test.bin").write_bytes(records(10, 1).tobytes())
    (where / "fine_label_names.txt").write_text("\n".join(f"class_{k}" for k in range(100)))
    return where


def test_fine_labels_and_planes_of_colour_are_read(folder):
    found = load_cifar100(folder.parent)
    assert (len(found.train), len(found.test), len(found.classes)) == (30, 10, 100)
    assert found.train.labels.tolist() == list(range(30))
    row = records(30, 0)[7]
    red, green, blue = row[2:].reshape(3, 32, 32)
    assert found.train.pixels[7, 3, 5].tolist() == [red[3, 5], green[3, 5], blue[3, 5]]


def test_the_archive_gives_the_same(folder, tmp_path_factory):
    archive = tmp_path_factory.mktemp("archive") / ARCHIVE
    with tarfile.open(archive, "w:gz") as tar:
        for path in folder.iterdir():
            content = path.read_bytes()
            member = tarfile.TarInfo(f"{FOLDER}/{path.name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert load_cifar100(archive).fingerprint == load_cifar100(folder).fingerprint
    assert load_cifar100(archive.parent).fingerprint == load_cifar100(folder).fingerprint


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.bin", b"x", "train.bin must have 92,220 bytes, got 1"),
        ("test.bin", bytes([0, 100]) * 15370, "not a CIFAR-100 file: labels are below 100, got 100"),
        ("fine_label_names.txt", b"apple bear", "fine_label_names.txt must name 100 classes, got 2"),
    ],
)
def test_what_is_not_of_its_form_is_refused(folder, name, content, message):
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_cifar100(folder)


def test_a_folder_without_it_and_a_damaged_archive_are_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"no CIFAR-100 in .*: it must hold cifar-100-binary/ or cifar-100-binary"
    ):
        load_cifar100(tmp_path)
    (tmp_path / ARCHIVE).write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"is truncated or not a .tar.gz archive"):
        load_cifar100(tmp_path)

import hashlib
import io
import os
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch

from pwoct.training import data, download
from pwoct.training.config import ConfigError, Data
from pwoct.training.data import ARCHIVE, CLASSES, FOLDER, SHA1, DataError, Images, load_cifar10
from pwoct.training.inputs import load_dataset, split_validation
from pwoct.training.synthetic import synthetic

NAMES = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
RECORDS = 7


def made_up(file: int) -> bytes:
    """Records whose bytes are all known: a plane counts up from a start of its own."""
    records = np.zeros((RECORDS, 3073), np.uint8)
    for image in range(RECORDS):
        records[image, 0] = image % 10
        for channel in range(3):
            start = 50 * file + 10 * image + channel
            records[image, 1 + 1024 * channel :][:1024] = (start + np.arange(1024)) % 256
    return records.tobytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small files in the layout of CIFAR-10, taken for official ones."""
    (tmp_path / FOLDER).mkdir()
    for file, name in enumerate(NAMES):
        (tmp_path / FOLDER / name).write_bytes(made_up(file))
    sums = {name: hashlib.sha1(made_up(file)).hexdigest() for file, name in enumerate(NAMES)}
    monkeypatch.setattr(data, "SHA1", sums)
    monkeypatch.setattr(data, "RECORDS", RECORDS)
    return tmp_path


def pack(folder: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder / FOLDER, arcname=FOLDER)
        readme = tarfile.TarInfo(f"{FOLDER}/readme.html")
        tar.addfile(readme, io.BytesIO())


def test_the_files_of_the_official_set_are_named_in_order():
    assert list(SHA1) == NAMES
    assert all(len(sha1) == 40 for sha1 in SHA1.values())


def test_pixels_and_labels_are_where_the_format_says(folder):
    found = load_cifar10(folder)
    assert found.train.pixels.shape == (5 * RECORDS, 32, 32, 3)
    assert found.test.pixels.shape == (RECORDS, 32, 32, 3)
    assert found.train.labels.tolist() == [0, 1, 2, 3, 4, 5, 6] * 5
    # The third image of data_batch_2, row 1, column 4, blue: plane byte 36.
    assert found.train.pixels[RECORDS + 2, 1, 4, 2] == 50 * 1 + 10 * 2 + 2 + 36
    assert found.classes == CLASSES


@pytest.mark.parametrize("where", ["the folder above", "the folder itself"])
def test_a_folder_may_be_named_either_way(where, folder):
    assert len(load_cifar10(folder if where == "the folder above" else folder / FOLDER).train) == 5 * RECORDS


def test_an_archive_holds_the_same(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("archive")
    pack(folder, elsewhere / ARCHIVE)
    from_folder, in_folder, direct = (load_cifar10(w) for w in (folder, elsewhere, elsewhere / ARCHIVE))
    assert torch.equal(from_folder.train.pixels, in_folder.train.pixels)
    assert torch.equal(from_folder.test.labels, direct.test.labels)
    assert from_folder.fingerprint == direct.fingerprint
    assert [path.name for path in elsewhere.iterdir()] == [ARCHIVE]  # nothing was extracted


def test_a_missing_set_is_said(tmp_path):
    with pytest.raises(DataError, match=f"it must hold {FOLDER}/ or {ARCHIVE}"):
        load_cifar10(tmp_path)


def test_a_missing_file_is_said(folder):
    (folder / FOLDER / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_4.bin cannot be read: No such file"):
        load_cifar10(folder)


def test_a_wrong_size_is_said(folder):
    (folder / FOLDER / "data_batch_3.bin").write_bytes(made_up(2)[:-1])
    with pytest.raises(DataError, match=r"data_batch_3.bin must have 21,511 bytes, got 21,510"):
        load_cifar10(folder)


def test_a_flipped_bit_is_said(folder):
    content = bytearray(made_up(5))
    content[99] ^= 1
    (folder / FOLDER / "test_batch.bin").write_bytes(content)
    with pytest.raises(DataError, match=r"test_batch.bin is not the official file: its SHA-1 must be"):
        load_cifar10(folder)


@pytest.mark.parametrize("part", [0, 0.1, 0.5])
def test_a_truncated_archive_is_said(part, folder):
    pack(folder, folder / "whole")
    cut = folder / "cut.tar.gz"
    whole = (folder / "whole").read_bytes()
    cut.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(DataError, match=r"cut.tar.gz is truncated or not a .tar.gz archive"):
        load_cifar10(cut)


def test_an_archive_without_a_file_is_said(folder):
    (folder / FOLDER / "data_batch_1.bin").unlink()
    pack(folder, folder / "some.tar.gz")
    with pytest.raises(DataError, match=r"some.tar.gz lacks cifar-10-batches-bin/data_batch_1.bin and "):
        load_cifar10(folder / "some.tar.gz")


def test_a_download_with_another_hash_is_refused(tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"no archive")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ARCHIVE).write_bytes(b"no archive")
    with pytest.raises(DataError, match="could not be fetched"):
        download.fetch(tmp_path / "cache", url=f"file://{wrong}")


def test_validation_images_are_apart_and_the_same_for_all(folder):
    images = Images(torch.arange(100)[:, None, None, None].expand(100, 2, 2, 3), torch.arange(100))
    train, held = split_validation(Data(validation=30), images)
    again = split_validation(Data(validation=30, train_images=10), images)
    assert sorted(train.labels.tolist() + held.labels.tolist()) == list(range(100))
    assert torch.equal(held.labels, again[1].labels)
    assert set(again[0].labels.tolist()) < set(train.labels.tolist())
    assert split_validation(Data(), images)[1] is None
    with pytest.raises(ConfigError, match=r"10 \+ 95 images are requested, but there are 100"):
        split_validation(Data(validation=95, train_images=10), images)


def test_the_synthetic_set_is_balanced_and_repeatable():
    one, other = load_dataset(Data(dataset="synthetic")), synthetic()
    assert torch.equal(one.train.pixels, other.train.pixels)
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != synthetic(test=500).fingerprint
    assert set(one.train.labels.bincount().tolist()) == {128}  # 1280 images of 10 classes
    assert not torch.equal(one.train.pixels[:500], one.test.pixels[:500])


@pytest.mark.skipif("PWOCT_CIFAR10" not in os.environ, reason="PWOCT_CIFAR10 names no folder with CIFAR-10")
def test_the_real_set():
    found = load_cifar10(Path(os.environ["PWOCT_CIFAR10"]))
    assert found.train.labels.bincount().tolist() == [5000] * 10
    assert found.test.labels.bincount().tolist() == [1000] * 10
    # It starts with a frog and two trucks, and its test set with a cat and two ships.
    assert [CLASSES[k] for k in found.train.labels[:3]] == ["frog", "truck", "truck"]
    assert [CLASSES[k] for k in found.test.labels[:3]] == ["cat", "ship", "ship"]


@pytest.fixture
def served(tmp_path):
    """The address of an archive on this machine."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / ARCHIVE).write_bytes(b"an archive" * 10_000)
    handler = partial(QuietHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{ARCHIVE}"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class Bar:
    total, seen, closed = 0, 0, False

    def update(self, size):
        self.seen += size

    def reset(self):
        pass

    def close(self):
        self.closed = True


def test_a_download_is_kept_and_not_repeated(served, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "SHA256", hashlib.sha256(b"an archive" * 10_000).hexdigest())
    bar = Bar()
    path = download.fetch(tmp_path / "cache", url=served, progress=bar)
    assert path == tmp_path / "cache" / ARCHIVE
    assert path.read_bytes() == b"an archive" * 10_000
    assert (bar.total, bar.closed) == (100_000, True)
    assert bar.seen >= 100_000  # pooch fills the bar up at the end
    again = Bar()
    assert download.fetch(tmp_path / "cache", url=served, progress=again) == path
    assert again.total == 0


def test_a_download_of_something_else_is_refused_and_removed(served, tmp_path):
    with pytest.raises(DataError, match="could not be fetched"):
        download.fetch(tmp_path / "cache", url=served)
    assert not (tmp_path / "cache" / ARCHIVE).exists()

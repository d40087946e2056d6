"""CIFAR-10 in torchvision's form: read to the same images, and nothing in a pickle is run."""

import gzip
import io
import os
import pickle
import pickletools
import tarfile

import numpy as np
import pytest
import torch

from pwoct.training.data import ARCHIVE, PYTHON_ARCHIVE, PYTHON_FOLDER, DataError, load_cifar10
from pwoct.training.pickles import PickleError, records
from tests.pwoct.training.test_data import NAMES, RECORDS, folder, made_up

__all__ = ["folder"]  # a fixture


def batch(binary: bytes, **changes) -> dict:
    """A batch as torchvision's files hold it, with the images of a binary one."""
    rows = np.frombuffer(binary, np.uint8).reshape(-1, 3073)
    content = {
        b"batch_label": b"training batch 1 of 5",
        b"labels": rows[:, 0].tolist(),
        b"data": np.ascontiguousarray(rows[:, 1:]),
        b"filenames": [b"a.png"] * len(rows),
    }
    return {**content, **changes}


def as_python_2(binary: bytes) -> bytes:
    """The bytes of a batch as Python 2 pickled it, with the opcodes that it used for its strings."""
    rows = np.frombuffer(binary, np.uint8).reshape(-1, 3073)
    pixels = rows[:, 1:].tobytes()

    def string(text: bytes) -> bytes:
        return (
            b"U" + bytes([len(text)]) + text
            if len(text) < 256
            else b"T" + len(text).to_bytes(4, "little") + text
        )

    labels = b"](" + b"".join(b"K" + bytes([label]) for label in rows[:, 0]) + b"e"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + string(b"b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + string(b"u1") + b"K\x00K\x01\x87R(K\x03" + string(b"|") + b"NNN"
    dtype += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"M" + len(rows).to_bytes(2, "little") + b"M\x00\x0c\x86"
    state = b"(K\x01" + shape + dtype + b"\x89" + string(pixels) + b"tb"
    items = string(b"data") + array + state + string(b"labels") + labels
    return b"\x80\x02}(" + items + b"u."


def test_the_form_of_python_2_is_one_that_python_reads():
    found = pickle.loads(as_python_2(made_up(0)), encoding="bytes")
    assert found[b"data"].shape == (RECORDS, 3072)
    assert {op.name for op, _, _ in pickletools.genops(as_python_2(made_up(0)))} >= {
        "SHORT_BINSTRING",
        "BINSTRING",
    }


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_a_batch_of_any_protocol_is_the_binary_one(protocol):
    assert records(pickle.dumps(batch(made_up(3)), protocol=protocol)) == made_up(3)


def test_a_batch_of_python_2_is_the_binary_one():
    assert records(as_python_2(made_up(4))) == made_up(4)


def test_keys_may_be_texts():
    content = {key.decode(): value for key, value in batch(made_up(1)).items()}
    assert records(pickle.dumps(content)) == made_up(1)


@pytest.fixture
def torchvision(folder, tmp_path_factory):
    """The folder as torchvision leaves it, with the same images."""
    root = tmp_path_factory.mktemp("torchvision")
    (root / PYTHON_FOLDER).mkdir()
    for file, name in enumerate(NAMES):
        (root / PYTHON_FOLDER / name.removesuffix(".bin")).write_bytes(as_python_2(made_up(file)))
    return root


def test_a_folder_and_an_archive_hold_the_same_as_the_binary_version(torchvision, folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("archive")
    with tarfile.open(elsewhere / PYTHON_ARCHIVE, "w:gz") as tar:
        tar.add(torchvision / PYTHON_FOLDER, arcname=PYTHON_FOLDER)
    binary = load_cifar10(folder)
    places = (torchvision, torchvision / PYTHON_FOLDER, elsewhere, elsewhere / PYTHON_ARCHIVE)
    for found in map(load_cifar10, places):
        assert torch.equal(found.train.pixels, binary.train.pixels)
        assert torch.equal(found.test.labels, binary.test.labels)
        assert found.fingerprint == binary.fingerprint


def test_another_image_is_not_the_official_one(torchvision):
    content = bytearray(made_up(5))
    content[99] ^= 1
    (torchvision / PYTHON_FOLDER / "test_batch").write_bytes(as_python_2(bytes(content)))
    with pytest.raises(DataError, match=r"test_batch.bin is not the official file: its SHA-1 must be"):
        load_cifar10(torchvision)


NO_LABELS = "labels must be a list of small whole numbers"


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", ["labels", "whole", "extra", "key"])
def test_what_a_pickle_would_run_is_not_run(place, protocol, tmp_path):
    trap = tmp_path / "trap"
    bomb = Malicious((os.mkdir, (str(trap),)))
    contents = {
        "labels": batch(made_up(0), x=1) | {b"labels": bomb},
        "whole": bomb,
        "extra": batch(made_up(0)) | {b"extra": [bomb]},
        "key": batch(made_up(0)) | {bomb: 1},
    }
    with pytest.raises(PickleError, match=r"it asks for (posix|nt)\.mkdir, which is not allowed"):
        records(pickle.dumps(contents[place], protocol=protocol))
    assert not trap.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins eval",
        "builtins getattr",
        "numpy load",
        "numpy.core.multiarray fromfile",
        "numpy ndarray.tofile",
        "os system",
    ],
)
def test_only_what_arrays_are_made_of_may_be_named(name):
    module, function = name.split()
    with pytest.raises(PickleError, match=f"it asks for {module}.{function}, which is not allowed"):
        records(b"\x80\x02c" + f"{module}\n{function}\n".encode() + b"(U\x011tR.")


def test_stand_ins_make_no_array_whatever_they_are_passed():
    """A shape that would take all memory is never allocated."""
    huge = pickle.dumps(batch(made_up(0)), protocol=2).replace(b"M\x00\x0c", b"M\xff\xff")
    assert records(huge) == made_up(0)  # what counts are the bytes, and later their hash


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is not a complete pickle"),
        (as_python_2(made_up(0))[:-9], "it is not a complete pickle"),
        (b"no pickle", "it is not a complete pickle"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "it is not a complete pickle"),
        (pickle.dumps([1]), "it must hold a dict"),
        (pickle.dumps({}), "it has no labels"),
        (
            pickle.dumps(batch(made_up(0)) | {b"labels": [1.5] * 7}),
            NO_LABELS,
        ),
        (
            pickle.dumps(batch(made_up(0)) | {b"labels": [999] * 7}),
            NO_LABELS,
        ),
        (pickle.dumps(batch(made_up(0)) | {b"labels": [1]}), "it has 21,504 bytes of pixels for 1 labels"),
        (pickle.dumps(batch(made_up(0)) | {b"data": [1]}), "its data must be a NumPy array"),
        (
            pickle.dumps(batch(made_up(0)) | {b"data": np.zeros((7, 3072), np.int16)}),
            "its data must be an array of uint8, row by row",
        ),
        (
            pickle.dumps(batch(made_up(0)) | {b"data": np.zeros((7, 3072), np.uint8, order="F")}),
            "its data must be an array of uint8, row by row",
        ),
        (b"\x80\x02K\x01Q.", "it refers to something outside the file"),
    ],
)
def test_other_content_is_named(content, message):
    with pytest.raises(PickleError, match=message):
        records(content)


def add_sparse(tar, name, size):
    """A member that is all hole: a kilobyte of archive."""
    member = tarfile.TarInfo(name)
    member.size = size
    member.type = tarfile.REGTYPE
    member.pax_headers = {"GNU.sparse.map": f"0,0,{size},0", "GNU.sparse.size": str(size)}
    member.size = 0
    tar.addfile(member)


def test_a_member_is_not_read_before_its_size_is_checked(tmp_path):
    """A sparse member of 10 GB in an archive of a few hundred bytes."""
    archive = tmp_path / ARCHIVE
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        add_sparse(tar, "cifar-10-batches-bin/data_batch_1.bin", 10**10)
    assert archive.stat().st_size < 1000
    with pytest.raises(DataError, match=r"data_batch_1.bin is not a CIFAR-10 file: it has 10,000,000"):
        load_cifar10(archive)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_is_not_read_before_its_size_is_checked(kind, tmp_path):
    header = tarfile.TarInfo("header")
    header.type, header.size = kind, 2**33 - 1
    with gzip.open(tmp_path / ARCHIVE, "wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(DataError, match=r"is truncated or not a .tar.gz archive: "):
        load_cifar10(tmp_path)


def test_a_file_is_not_read_before_its_size_is_checked(folder):
    with (folder / "cifar-10-batches-bin" / "data_batch_1.bin").open("wb") as file:
        file.truncate(10**10)  # a hole
    with pytest.raises(DataError, match=r"data_batch_1.bin is not a CIFAR-10 file: it has 10,000,000"):
        load_cifar10(folder)


def test_the_archive_may_have_other_members(folder, tmp_path):
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as tar:
        tar.add(folder / "cifar-10-batches-bin", arcname="cifar-10-batches-bin")
        tar.addfile(tarfile.TarInfo("cifar-10-batches-bin/readme.html"), io.BytesIO())
    assert len(load_cifar10(tmp_path / "set.tar.gz").train) == 5 * RECORDS

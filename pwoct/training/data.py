"""Image sets held whole in memory; CIFAR-10 from its official files, checked by hash.

Archives are read in memory; nothing is extracted. The Python version is converted to the binary format by
`pickles`, which never runs code that a file names; the result must have the same hashes.
"""

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from pwoct.training.pickles import PickleError, records

FOLDER, ARCHIVE = "cifar-10-batches-bin", "cifar-10-binary.tar.gz"
PYTHON_FOLDER, PYTHON_ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"  # as torchvision stores it
MOST_BYTES = 32 << 20  # upper limit for a file of the set; each has about 31 million bytes
RECORDS, RECORD_BYTES = 10_000, 1 + 3 * 32 * 32  # a label, then the red, green and blue planes
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# SHA-1 of the official files, whether they lie in a folder or in an archive.
SHA1 = {
    "data_batch_1.bin": "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
    "data_batch_2.bin": "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
    "data_batch_3.bin": "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
    "data_batch_4.bin": "aab85764eb3584312d3c7f65fd2fd016e36a258e",
    "data_batch_5.bin": "26e2849e66a845b7f1e4614ae70f4889ae604628",
    "test_batch.bin": "67eb016db431130d61cd03c7ad570b013799c88c",
}
OFFICIAL = hashlib.sha256("".join(SHA1.values()).encode()).hexdigest()  # fingerprint of the whole set
TRAINING_IMAGES = 50_000


class DataError(Exception):
    """The data set is missing or invalid."""


@dataclass(frozen=True)
class Images:
    """Labelled images: `pixels` uint8 (n, h, w, c), `labels` int64 (n,)."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: slice | Tensor) -> "Images":
        return Images(self.pixels[chosen], self.labels[chosen])

    def to(self, device: torch.device) -> "Images":
        """Return the images on `device`."""
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """A training and a test set, the names of their classes, and a fingerprint of their content.

    `note` tells the user about anything unusual in how they were read.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    fingerprint: str
    note: str = ""


def load_cifar10(where: Path) -> Dataset:
    """Read CIFAR-10 from a folder with its batches (binary or Python version), or from their archive.

    Raises:
        DataError: if a file is missing, damaged, or not the official one.
    """
    files = dict(_members(where))
    train, test = (
        _images([files[name] for name in SHA1 if name != "test_batch.bin"]),
        _images([files["test_batch.bin"]]),
    )
    return Dataset("cifar10", train, test, CLASSES, OFFICIAL)


def _members(where: Path) -> Iterator[tuple[str, bytes]]:
    read = _source(where)
    for name, sha1 in SHA1.items():
        content = read(name)
        if len(content) != RECORDS * RECORD_BYTES:
            raise DataError(
                f"{where}: {name} must have {RECORDS * RECORD_BYTES:,} bytes, got {len(content):,}"
            )
        found = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        if found != sha1:
            raise DataError(
                f"{where}: {name} is not the official file: its SHA-1 must be {sha1}, got {found}"
            )
        yield name, content


def _source(where: Path) -> Callable[[str], bytes]:
    """Return a function that reads a member, given its name in the binary version."""
    for folder in (where / FOLDER, where):
        if (folder / "data_batch_1.bin").is_file():
            return lambda name: _file(folder / name)
    for folder in (where / PYTHON_FOLDER, where):
        if (folder / "data_batch_1").is_file():
            return lambda name: _converted(folder / _python(name), _file(folder / _python(name)))
    for archive in (where / ARCHIVE, where / PYTHON_ARCHIVE) if where.is_dir() else (where,):
        if archive.is_file():
            content = _unpack(archive)
            return lambda name: _member(archive, content, name)
    raise DataError(
        f"no CIFAR-10 in {where}: it must hold {FOLDER}/ or {ARCHIVE} (the binary version), or torchvision's"
        f" {PYTHON_FOLDER}/ or {PYTHON_ARCHIVE}"
    )


def _python(name: str) -> str:
    return name.removesuffix(".bin")


def _file(path: Path) -> bytes:
    try:
        _check_size(path, path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _check_size(what: object, size: int) -> None:
    """Reject a file that is too large for the set, before it is read into memory."""
    if size > MOST_BYTES:
        raise DataError(
            f"{what} is not a CIFAR-10 file: it has {size:,} bytes, and must have at most {MOST_BYTES:,}"
        )


def _unpack(archive: Path) -> dict[str, bytes]:
    wanted = {*SHA1, *map(_python, SHA1)}
    found: dict[str, bytes] = {}
    try:
        with gzip.open(archive) as stream, _tar(stream) as tar:
            for member in tar:
                name = Path(member.name).name
                if member.isfile() and name in wanted:
                    _check_size(f"{archive}: {name}", member.size)
                    found[name] = _read(tar, member)
        return found
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{archive} is truncated or not a .tar.gz archive: {error}") from error


def _tar(stream: Any) -> tarfile.TarFile:
    bounded: Any = _Bounded(stream)  # the methods that tarfile needs
    return tarfile.open(fileobj=bounded)


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return b"" if file is None else file.read()


class _Bounded:
    """A stream that refuses reads larger than a file of the set, whatever size a header claims."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.tell, self.seek, self._stream = stream.tell, stream.seek, stream

    def read(self, size: int) -> bytes:
        if size > MOST_BYTES:
            raise tarfile.ReadError(f"a part of it claims {size:,} bytes")
        return self._stream.read(size)


def _member(archive: Path, content: dict[str, bytes], name: str) -> bytes:
    if name in content:
        return content[name]
    if _python(name) in content:
        return _converted(f"{archive}: {_python(name)}", content[_python(name)])
    raise DataError(f"{archive} lacks {FOLDER}/{name} and {PYTHON_FOLDER}/{_python(name)}: is it CIFAR-10?")


def _converted(what: object, content: bytes) -> bytes:
    try:
        return records(content)
    except PickleError as error:
        raise DataError(f"{what} is not a CIFAR-10 batch: {error}") from None


def _images(files: list[bytes]) -> Images:
    rows = np.concatenate([np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES) for content in files])
    planes = rows[:, 1:].reshape(-1, 3, 32, 32)
    pixels = np.ascontiguousarray(
        planes.transpose(0, 2, 3, 1)
    )  # channels last, the layout that the convolutions use
    return Images(torch.from_numpy(pixels), torch.from_numpy(rows[:, 0].astype(np.int64)))

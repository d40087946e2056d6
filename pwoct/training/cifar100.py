"""CIFAR-100 from its official binary version: each record is a coarse label, a fine label, and an image."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from pwoct.training.data import DataError, Dataset, Images

FOLDER, ARCHIVE = "cifar-100-binary", "cifar-100-binary.tar.gz"
TRAIN, TEST, NAMES = "train.bin", "test.bin", "fine_label_names.txt"
COUNTS = {TRAIN: 50_000, TEST: 10_000}
CLASSES = 100
RECORD_BYTES = 2 + 3 * 32 * 32


def load_cifar100(where: Path) -> Dataset:
    """Read CIFAR-100, with its 100 fine labels, from a folder with its binary files or from their archive.

    Raises:
        DataError: if a file is missing, or does not have the set's format.
    """
    read = _source(where)
    parts = {name: _records(where, name, read(name)) for name in COUNTS}
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts.values()))
    return Dataset(
        "cifar100",
        _images(parts[TRAIN]),
        _images(parts[TEST]),
        _classes(where, read(NAMES)),
        digest.hexdigest(),
    )


def _source(where: Path) -> Callable[[str], bytes]:
    for folder in (where / FOLDER, where):
        if (folder / TRAIN).is_file():
            return lambda name: _file(folder / name)
    archive = where / ARCHIVE if where.is_dir() else where
    if not archive.is_file():
        raise DataError(f"no CIFAR-100 in {where}: it must hold {FOLDER}/ or {ARCHIVE} (the binary version)")
    content = _unpacked(archive)

    def member(name: str) -> bytes:
        if name not in content:
            raise DataError(f"{archive} lacks {FOLDER}/{name}: is it CIFAR-100?")
        return content[name]

    return member


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _unpacked(archive: Path) -> dict[str, bytes]:
    """Read the members of an archive in memory; none may be larger than the set's largest file."""
    most = max(COUNTS.values()) * RECORD_BYTES
    found: dict[str, bytes] = {}
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                name = Path(member.name).name
                if not member.isfile() or name not in (*COUNTS, NAMES):
                    continue
                file = tar.extractfile(member)
                if member.size > most or file is None:
                    raise DataError(
                        f"{archive}: {name} is not a CIFAR-100 file: it has {member.size:,} bytes"
                    )
                found[name] = file.read()
        return found
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{archive} is truncated or not a .tar.gz archive: {error}") from error


def _records(where: Path, name: str, content: bytes) -> bytes:
    needed = COUNTS[name] * RECORD_BYTES
    if len(content) != needed:
        raise DataError(f"{where}: {name} must have {needed:,} bytes, got {len(content):,}")
    most = int(np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)[:, 1].max())
    if most >= CLASSES:
        raise DataError(f"{where}: {name} is not a CIFAR-100 file: labels are below {CLASSES}, got {most}")
    return content


def _images(content: bytes) -> Images:
    rows = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
    pixels = np.ascontiguousarray(rows[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return Images(torch.from_numpy(pixels), torch.from_numpy(rows[:, 1].astype(np.int64)))


def _classes(where: Path, content: bytes) -> tuple[str, ...]:
    names = tuple(content.decode("ascii", "replace").split())
    if len(names) != CLASSES:
        raise DataError(f"{where}: {NAMES} must name {CLASSES} classes, got {len(names)}")
    return names

"""Checkpoints that survive a crash at any moment: complete and verified, or absent.

A checkpoint is a folder of safetensors and JSON files with a manifest of SHA-256 sums. It is written under a
temporary name, synced to disk, then renamed; older checkpoints are removed only after that.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

MANIFEST = "manifest.json"
WEIGHTS, TRAINING, STATE = "model.safetensors", "training.safetensors", "state.json"
KEEP = 2

NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)  # Windows has only the latter
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK

_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    SafetensorError,
)


class CheckpointError(Exception):
    """A checkpoint is missing, damaged, or cannot be written."""


@dataclass(frozen=True)
class Checkpoint:
    """The model's tensors, the other tensors of its training, and the JSON state, after `step` steps."""

    step: int
    model: dict[str, Tensor]
    training: dict[str, Tensor]
    state: dict[str, Any]


def store(folder: Path, checkpoint: Checkpoint, keep: int = KEEP) -> Path:
    """Write `checkpoint` into `folder`, then remove all but the newest `keep`, and return its path.

    Raises:
        OSError: if it cannot be written; existing checkpoints are kept.
    """
    final = folder / _name(checkpoint.step)
    if final.is_symlink():  # never one of ours
        final.unlink()
    if final.exists():
        return final
    folder.mkdir(exist_ok=True)
    _discard_unfinished(folder)
    part = folder / f".writing-{final.name}"
    part.mkdir()
    try:
        _write_files(part, checkpoint)
        _sync(part)
        part.rename(final)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    _sync(folder)
    for old in _complete(folder)[keep:]:
        with contextlib.suppress(OSError):  # the next save tries again
            _remove(old)
    return final


def read(path: Path) -> Checkpoint:
    """Read one checkpoint, and check every file against the manifest.

    Raises:
        CheckpointError: if anything is missing, changed, or from another checkpoint.
    """
    try:
        files = _verified(path)
        state = json.loads(files[STATE])
        step = int(state.pop("step"))
        checkpoint = Checkpoint(step, load(files[WEIGHTS]), load(files[TRAINING]), state)
    except _UNREADABLE as error:
        raise CheckpointError(f"{path}: {error}") from error
    if path.name != _name(step):
        raise CheckpointError(f"{path}: holds step {step}, not what its name says")
    return checkpoint


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest good checkpoint and the reasons why newer ones were skipped.

    A good checkpoint is complete, and its weights are finite. None if no checkpoint was ever completed.

    Raises:
        CheckpointError: if there are checkpoints, but none is good.
    """
    skipped: list[str] = []
    for path in _complete(folder):
        try:
            return _read_finite(path), skipped
        except CheckpointError as error:
            skipped.append(str(error))
    skipped += [f"{path}: was found damaged earlier" for path in sorted(folder.glob("damaged-*"))]
    if skipped:
        raise CheckpointError("no good checkpoint is left: " + "; ".join(skipped))
    return None, []


def chosen(folder: Path, step: int) -> Checkpoint:
    """Return the checkpoint of a step.

    Raises:
        CheckpointError: if there is none, or if it is not good.
    """
    path = folder / _name(step)
    if not path.exists():
        raise CheckpointError(f"no checkpoint of step {step} in {folder}; there are {steps_kept(folder)}")
    return _read_finite(path)


def steps_kept(folder: Path) -> str:
    """Return the steps that have checkpoints, in words."""
    found = [path.name.removeprefix("step-").lstrip("0") or "0" for path in reversed(_complete(folder))]
    return ", ".join(found) or "none"


def finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that contains a non-finite value, or None."""
    return next((name for name, value in tensors.items() if not bool(value.isfinite().all())), None)


def set_aside(folder: Path, newer_than: int, prefix: str = "damaged") -> None:
    """Rename skipped checkpoints, so that they neither count as kept nor block a new one."""
    for path in _complete(folder):
        if path.name > _name(newer_than):
            target = folder / f"{prefix}-{path.name}"
            if target.exists():
                _remove(target)
            path.rename(target)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file atomically: after a crash it holds either the old or the new content."""
    part = path.with_name(f".{path.name}.part")
    _remove(part)
    try:
        _write(part, content)
    except OSError:
        _remove(part)  # what a full disk cut off
        raise
    part.replace(path)
    _sync(path.parent)


def _name(step: int) -> str:
    return f"step-{step:010d}"


def _complete(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _discard_unfinished(folder: Path) -> None:
    for path in folder.glob(".writing-*"):
        _remove(path)


def _remove(path: Path) -> None:
    """Remove a folder, a file or a link, but never the target of a link; a missing path is not an error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read_finite(path: Path) -> Checkpoint:
    checkpoint = read(path)
    averages = {name: value for name, value in checkpoint.training.items() if name.startswith("average.")}
    if (name := finite({**checkpoint.model, **averages})) is not None:
        raise CheckpointError(f"{path}: the weights are not finite: {name}")
    return checkpoint


def _write_files(folder: Path, checkpoint: Checkpoint) -> None:
    sums = {}
    for name, content in _contents(checkpoint):
        _write(folder / name, content)
        sums[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    _write(folder / MANIFEST, json.dumps(sums, indent=1).encode())


def _contents(checkpoint: Checkpoint) -> Iterator[tuple[str, bytes]]:
    yield WEIGHTS, save(_plain(checkpoint.model))
    yield TRAINING, save(_plain(checkpoint.training))
    yield STATE, json.dumps({"step": checkpoint.step, **checkpoint.state}, indent=1).encode()


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _write(path: Path, content: bytes) -> None:
    """Write a file that does not exist yet; a link in its place is an error and is not followed."""
    with os.fdopen(os.open(path, NEW_FILE, 0o666), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _verified(path: Path) -> dict[str, bytes]:
    manifest = json.loads((path / MANIFEST).read_bytes())
    if set(manifest) != {WEIGHTS, TRAINING, STATE}:
        raise ValueError(f"the manifest must list {WEIGHTS}, {TRAINING} and {STATE}, got {sorted(manifest)}")
    files = {name: (path / name).read_bytes() for name in manifest}
    for name, content in files.items():
        if len(content) != manifest[name]["bytes"]:
            raise ValueError(f"{name} must have {manifest[name]['bytes']} bytes, got {len(content)}")
        if hashlib.sha256(content).hexdigest() != manifest[name]["sha256"]:
            raise ValueError(f"{name} does not have the SHA-256 of the manifest")
    return files

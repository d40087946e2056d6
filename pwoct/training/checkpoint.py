"""Checkpoints that survive a crash at any moment: complete and verified, or not there.

A checkpoint is a folder of safetensors and JSON with a manifest of SHA-256 sums. It is written under another
name, forced to disk, then renamed; older ones go only after that.
"""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

MANIFEST = "manifest.json"
WEIGHTS, TRAINING, STATE = "model.safetensors", "training.safetensors", "state.json"
KEEP = 2


class CheckpointError(Exception):
    """A checkpoint is missing, damaged, or cannot be written."""


@dataclass(frozen=True)
class Checkpoint:
    """The model's tensors, the other tensors of its training, and what JSON can say, after `step` steps."""

    step: int
    model: dict[str, Tensor]
    training: dict[str, Tensor]
    state: dict[str, Any]


def store(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write `checkpoint` into `folder`, then remove all but the newest `KEEP`, and return its path.

    Raises:
        OSError: if it cannot be written; what was there before stays.
    """
    final = folder / _name(checkpoint.step)
    if final.exists():
        return final
    folder.mkdir(parents=True, exist_ok=True)
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
    for old in _complete(folder)[KEEP:]:
        shutil.rmtree(old)
    return final


def read(path: Path) -> Checkpoint:
    """Read one checkpoint, every file checked against the manifest.

    Raises:
        CheckpointError: if anything is missing, changed, or from another checkpoint.
    """
    try:
        files = _verified(path)
        state = json.loads(files[STATE])
        step = state.pop("step")
        checkpoint = Checkpoint(step, load(files[WEIGHTS]), load(files[TRAINING]), state)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    if path.name != _name(step):
        raise CheckpointError(f"{path}: holds step {step}, not what its name says")
    return checkpoint


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest good checkpoint and the reasons why newer ones were passed over.

    None where no checkpoint was ever completed.

    Raises:
        CheckpointError: if there are checkpoints, but none is good.
    """
    skipped: list[str] = []
    for path in _complete(folder):
        try:
            return read(path), skipped
        except CheckpointError as error:
            skipped.append(str(error))
    skipped += [f"{path}: found damaged before" for path in sorted(folder.glob("damaged-*"))]
    if skipped:
        raise CheckpointError("no good checkpoint is left: " + "; ".join(skipped))
    return None, []


def set_aside_damaged(folder: Path, newer_than: int) -> None:
    """Rename checkpoints that were passed over, so that they neither count as kept nor block a new one."""
    for path in _complete(folder):
        if path.name > _name(newer_than):
            target = folder / f"damaged-{path.name}"
            if target.exists():
                shutil.rmtree(target)
            path.rename(target)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors, or of a .pth or .pt file that holds nothing but tensors.

    Raises:
        CheckpointError: if the file cannot be read, or holds anything else.
    """
    try:
        if path.suffix == ".safetensors":
            return load(path.read_bytes())
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"{path}: no readable weights: {str(error).splitlines()[0]}") from error
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path}: must hold a dict of tensors, or one under 'state_dict'")
    return {name.removeprefix("module."): value for name, value in found.items()}


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file whole: after a crash it holds the old or the new content."""
    part = path.with_name(f".{path.name}.part")
    _write(part, content)
    part.replace(path)
    _sync(path.parent)


def _name(step: int) -> str:
    return f"step-{step:010d}"


def _complete(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _discard_unfinished(folder: Path) -> None:
    for path in folder.glob(".writing-*"):
        shutil.rmtree(path)


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
    with path.open("wb") as file:
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

"""Networks from torch.export: a .pt2 file, read without its weights and without opening a pickle.

Such a file is a ZIP archive. The graph and the shapes of weights are JSON; constants are raw bytes. Content
that needs a pickle (custom objects, legacy files) is rejected.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from costmodel.models.foreign import foreign

Payload = Mapping[str, Any]


def exported(place: str) -> nn.Module:
    """Return the module of a .pt2 file, with parameters of the right shapes but without their values.

    Raises ValueError if the file was not written by torch.export, or can't be read without a pickle.
    """
    if not Path(place).is_file():
        raise ValueError(f"there is no file {place}")
    try:
        with zipfile.ZipFile(place) as archive:
            contents = _Contents(archive)
            graph, weights, constants = contents.graph(), contents.weights(), contents.constants()
    except (zipfile.BadZipFile, KeyError, StopIteration, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{place} was not written by torch.export.save ({type(error).__name__})") from None
    with foreign(f"can't read {place}"), torch.device("cpu"):
        return _module(_program(graph, weights, constants))


def _module(program: Any) -> nn.Module:
    """Return the program with its original modules, or flat if these can't be restored."""
    try:
        nested: nn.Module = torch.export.unflatten(program)
    except (RuntimeError, AssertionError, KeyError, ValueError):
        nested = program.module(check_guards=False)
    return nested


def _program(graph: bytes, weights: Mapping[str, Tensor], constants: Mapping[str, Tensor]) -> Any:
    from torch._export.serde import schema
    from torch._export.serde.serialize import ExportedProgramDeserializer, _bytes_to_dataclass

    described = _bytes_to_dataclass(schema.ExportedProgram, graph)
    return ExportedProgramDeserializer().deserialize(described, dict(weights), dict(constants), None)


class _Contents:
    """The contents of a .pt2 archive; its files are in a folder named after the archive."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._files = {name.partition("/")[2]: name for name in archive.namelist()}

    def _read(self, name: str) -> bytes:
        return self._archive.read(self._files[name])

    def _model(self) -> str:
        first = next(name for name in self._files if name.startswith("models/") and name.endswith(".json"))
        return first.removeprefix("models/").removesuffix(".json")

    def graph(self) -> bytes:
        return self._read(f"models/{self._model()}.json")

    def weights(self) -> dict[str, Tensor]:
        return {name: _weight(payload) for name, payload in self._described("weights").items()}

    def constants(self) -> dict[str, Tensor]:
        return {name: self._constant(name, payload) for name, payload in self._described("constants").items()}

    def _described(self, what: str) -> dict[str, Payload]:
        config: dict[str, Payload] = json.loads(self._read(f"data/{what}/{self._model()}_{what}_config.json"))
        described: dict[str, Payload] = dict(config["config"])
        return described

    def _constant(self, name: str, payload: Payload) -> Tensor:
        if payload["use_pickle"] or payload["tensor_meta"] is None:
            raise ValueError(f"the constant {name} is stored as a pickle, and pickles are never opened")
        dtype, sizes = _dtype(payload), _sizes(payload)
        raw = bytearray(self._read(f"data/constants/{payload['path_name']}"))
        if not prod(sizes):
            return torch.zeros(sizes, dtype=dtype)
        flat = torch.frombuffer(raw, dtype=dtype)
        meta = payload["tensor_meta"]
        strides = tuple(size["as_int"] for size in meta["strides"])
        return torch.as_strided(flat, sizes, strides, meta["storage_offset"]["as_int"])


def _weight(payload: Payload) -> Tensor:
    meta = payload["tensor_meta"]
    if meta is None:
        raise ValueError("the weights are stored as a pickle, and pickles are never opened")
    shaped = torch.zeros(_sizes(payload), dtype=_dtype(payload))  # on the requested device
    return nn.Parameter(shaped, requires_grad=meta["requires_grad"]) if payload["is_param"] else shaped


def _sizes(payload: Payload) -> tuple[int, ...]:
    return tuple(size["as_int"] for size in payload["tensor_meta"]["sizes"])


def _dtype(payload: Payload) -> torch.dtype:
    from torch._export.serde.serialize import deserialize_scalar_type

    return deserialize_scalar_type(payload["tensor_meta"]["dtype"])

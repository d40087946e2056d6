"""CIFAR-10's Python batches, as torchvision stores them, read without running what a pickle may contain.

Unpickling calls whatever functions a file names. Here it may name what arrays of NumPy are made of, and
nothing else; even these are not called: stand-ins take what the file passes to them. Only the bytes count.
"""

import io
import pickle
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

IMAGE_BYTES = 3 * 32 * 32


class PickleError(ValueError):
    """A pickle is not one of CIFAR-10's batches."""


class _Stand:
    """Stands for an object that a pickle would make: keeps the arguments and the state, and does nothing."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Stand):
    """An array of NumPy: version, shape, type, whether columns come first, bytes."""


class _Dtype(_Stand):
    """A type of NumPy: its name."""


class _ArrayType:
    """The class of arrays, which a pickle only mentions."""


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes as Python 3 writes them in the pickles of Python 2: as text in Latin-1."""
    if not isinstance(text, str) or encoding != "latin1":
        raise PickleError(f"it encodes a text as {encoding!r}")
    return text.encode("latin1")


_ADMITTED: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encoded,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise PickleError(f"it asks for {module}.{name}, which is not read")
        return _ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:  # noqa: ARG002 - the base class gives it
        raise PickleError("it refers to something outside the file")


def records(content: bytes) -> bytes:
    """Return a Python batch in the form of the binary version: for each image its label, then its pixels.

    Raises:
        PickleError: if it is no such batch, or asks for anything but plain data and an array.
    """
    batch = _unpickled(content)
    if not isinstance(batch, dict):
        raise PickleError("it must hold a dict")
    labels, pixels = _get(batch, "labels"), _get(batch, "data")
    if not isinstance(labels, list) or not all(type(x) is int and 0 <= x < 256 for x in labels):
        raise PickleError("its labels must be a list of small whole numbers")
    raw = _bytes_of(pixels)
    if len(raw) != len(labels) * IMAGE_BYTES:
        raise PickleError(f"it has {len(raw):,} bytes of pixels for {len(labels):,} labels")
    images = np.frombuffer(raw, np.uint8).reshape(len(labels), IMAGE_BYTES)
    return np.concatenate([np.array(labels, np.uint8)[:, None], images], axis=1).tobytes()


def _unpickled(content: bytes) -> Any:
    try:
        return _Reader(io.BytesIO(content), encoding="bytes").load()
    except PickleError:
        raise
    except MemoryError:
        raise PickleError("it is no whole pickle") from None
    except Exception as error:  # damaged pickles raise errors of all kinds
        raise PickleError(f"it is no whole pickle: {error}") from None


def _get(batch: dict[Any, Any], key: str) -> Any:
    """A value by its key, which Python 2 wrote as bytes."""
    found = batch.get(key.encode(), batch.get(key))
    if found is None:
        raise PickleError(f"it has no {key}")
    return found


def _bytes_of(array: Any) -> bytes:
    state = array.state if isinstance(array, _Array) else None
    if not isinstance(state, tuple) or len(state) != 5:
        raise PickleError("its data must be an array of NumPy")
    _, _, dtype, columns_first, raw = state
    kind = dtype.arguments[0] if isinstance(dtype, _Dtype) and dtype.arguments else None
    if kind not in ("u1", b"u1") or columns_first or not isinstance(raw, bytes):
        raise PickleError("its data must be an array of uint8, row by row")
    return raw

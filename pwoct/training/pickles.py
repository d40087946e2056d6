"""CIFAR-10's Python batches, as torchvision stores them, read without running code from a pickle.

Unpickling calls whatever functions a file names. Here a file may name only the constructors of NumPy arrays,
and even these are not called: stand-ins receive their arguments. Only the bytes are used.
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
    """A stand-in for an object that a pickle would create: it only keeps the arguments and the state."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Stand):
    """A NumPy array: version, shape, type, whether it is in column-major order, bytes."""


class _Dtype(_Stand):
    """A NumPy dtype: its name."""


class _ArrayType:
    """The array class, which a pickle only names."""


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes as Python 3 writes them in pickles for Python 2: as Latin-1 text."""
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
            raise PickleError(f"it asks for {module}.{name}, which is not allowed")
        return _ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:  # noqa: ARG002 - the base class gives it
        raise PickleError("it refers to something outside the file")


def records(content: bytes) -> bytes:
    """Return a Python batch in the binary version's format: for each image its label, then its pixels.

    Raises:
        PickleError: if it is not such a batch, or asks for anything but plain data and an array.
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
        raise PickleError("it is not a complete pickle") from None
    except Exception as error:  # damaged pickles raise errors of all kinds
        raise PickleError(f"it is not a complete pickle: {error}") from None


def _get(batch: dict[Any, Any], key: str) -> Any:
    """Return a value by its key, which Python 2 wrote as bytes."""
    found = batch.get(key.encode(), batch.get(key))
    if found is None:
        raise PickleError(f"it has no {key}")
    return found


def _bytes_of(array: Any) -> bytes:
    state = array.state if isinstance(array, _Array) else None
    if not isinstance(state, tuple) or len(state) != 5:
        raise PickleError("its data must be a NumPy array")
    _, _, dtype, columns_first, raw = state
    kind = dtype.arguments[0] if isinstance(dtype, _Dtype) and dtype.arguments else None
    if kind not in ("u1", b"u1") or columns_first or not isinstance(raw, bytes):
        raise PickleError("its data must be an array of uint8, row by row")
    return raw

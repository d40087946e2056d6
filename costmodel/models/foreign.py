"""Running foreign code: its output goes to stderr, and its errors become one clear line."""

from __future__ import annotations

import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType, TracebackType

import torch

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_OURS = Path(__file__).parents[1]
_CUDA = re.compile(r"\bCUDA\b|\bNVIDIA\b|\bcuda\b")
MOST_CHARACTERS = 300  # of a foreign message


@contextmanager
def foreign(doing: str) -> Iterator[None]:
    """Run foreign code: its output goes to stderr, it does not see our arguments, and can't end the program.

    Whatever it raises, including `sys.exit`, becomes a ValueError that says what was being done, the error
    and the user's line; interrupts pass through. Grad mode and default dtype are restored.
    """
    argv, grad, dtype = sys.argv, torch.is_grad_enabled(), torch.get_default_dtype()
    sys.argv = [argv[0] if argv else "pwoct-cost"]
    try:
        with redirect_stdout(sys.stderr or open(os.devnull, "w")), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SystemExit as error:
        raise ValueError(f"{doing}: it ends the program: sys.exit({error.code!r}){where(error)}") from error
    except Exception as error:
        raise ValueError(f"{doing}: {told(error)}") from error
    finally:
        sys.argv = argv
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)


def told(error: BaseException) -> str:
    """Return an error as one line: its class, its first line without control characters, and its place."""
    lines = [line for line in _ESCAPES.sub("", str(error)).splitlines() if line.strip()]
    text = " ".join(lines[0].split()) if lines else ""
    short = text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."
    said = f"{type(error).__name__}: {short}" if short else type(error).__name__
    advice = "; costs need no GPU: let the code take its device from its input" if _CUDA.search(text) else ""
    return f"{said}{where(error)}{advice}"


def where(error: BaseException) -> str:
    """Return the innermost line of foreign code in an error's traceback, as ` (file, line N)`."""
    frames = [frame for frame in _frames(error.__traceback__) if _is_users(frame[0].f_code.co_filename)]
    if not frames:
        return ""
    frame, line = frames[-1]
    return f" ({Path(frame.f_code.co_filename).name}, line {line})"


def _frames(tb: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    yield from traceback.walk_tb(tb)


def _is_users(file: str) -> bool:
    path = Path(file)
    inside = any(part in ("site-packages", "dist-packages") for part in path.parts)
    return path.is_file() and not inside and not path.is_relative_to(_OURS) and not _is_standard(path)


def _is_standard(path: Path) -> bool:
    return path.is_relative_to(Path(os.__file__).parent)

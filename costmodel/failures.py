"""Errors of foreign code, as one line: what was raised, and where in the user's own code."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path

MOST_CHARACTERS = 300  # of a foreign message

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_OURS = (Path(__file__).parent, Path(__file__).parents[1] / "pwoct")
_ACCELERATORS = re.compile(r"\b(?:CUDA|NVIDIA|XPU|MPS|HIP|cuda|xpu|mps|hip)\b")
_ADVICE = "; costs need no GPU: let the code take its device from its input"


def told(error: BaseException) -> str:
    """Return an error as one line: its class, its first line without control characters, and its place."""
    name, text = type(error).__name__, _first_line(error)
    said = f"{name}: {_short(text)}" if text else name
    return f"{said}{where(error)}{_ADVICE if _ACCELERATORS.search(text) else ''}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message without control characters; its class if it has none."""
    return _short(_first_line(error)) or type(error).__name__


def _first_line(error: BaseException) -> str:
    lines = [line for line in _ESCAPES.sub("", _text(error)).splitlines() if line.strip()]
    return " ".join(lines[0].split()) if lines else ""


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # foreign code words its errors as it likes
        return ""


def where(error: BaseException) -> str:
    """Return the innermost line of foreign code in an error's traceback, as ` (file, line N)`."""
    places = [
        (Path(frame.f_code.co_filename), line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_users(Path(frame.f_code.co_filename))
    ]
    return f" ({places[-1][0].name}, line {places[-1][1]})" if places else ""


def _is_users(path: Path) -> bool:
    inside = any(part in ("site-packages", "dist-packages") for part in path.parts)
    standard = path.is_relative_to(Path(os.__file__).parent)
    ours = any(path.is_relative_to(folder) for folder in _OURS)
    return path.is_file() and not inside and not standard and not ours

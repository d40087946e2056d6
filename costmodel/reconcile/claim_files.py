"""Files of claims: a row of CSV for each printed figure, with the network that it is of."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from costmodel.digits import PrintedCount, parse_count, parse_figure, parse_parameters

NEEDED = ("model", "claim")
COLUMNS = (*NEEDED, "input", "claim_params", "unit", "source")


@dataclass(frozen=True)
class ClaimRow:
    """A printed count, and the parameters beside it, of a network on an input; "" where none is given."""

    model: str
    claim: PrintedCount
    input: str = ""
    params: PrintedCount | None = None
    source: str = ""


def read_claims(path: Path) -> list[ClaimRow]:
    """Read a file of claims; columns that are not known are left alone.

    Raises ValueError, which names the line, if the file or a row is not valid.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"a file of claims must be CSV in UTF-8, got {path}: {error}") from error
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"a file of claims has the columns {', '.join(COLUMNS)}; {path} lacks {missing[0]}")
    found = []
    for row in reader:
        try:
            found.append(_claim(row))
        except ValueError as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    if not found:
        raise ValueError(f"a file of claims has a row for each claim, got none in {path}")
    return found


def _claim(row: Mapping[str, str | None]) -> ClaimRow:
    given = {name: (row.get(name) or "").strip() for name in COLUMNS}
    if not given["model"]:
        raise ValueError("a claim needs a model, got none")
    text = given["claim"]
    if given["unit"] and not parse_figure(text).unit:
        text = f"{text} {given['unit']}".replace(" ", "", 1)
    figure = parse_count(text)
    params = parse_parameters(given["claim_params"]) if given["claim_params"] else None
    return ClaimRow(given["model"], figure, given["input"], params, given["source"])

"""Results as plain data: rows of numbers and strings, and a DataFrame if pandas is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, overload

from costmodel.report import Table, plain_rows, plain_total


class Rows(Sequence[dict[str, Any]]):
    """The rows of a result, each a dict with the same keys; None is an empty cell.

    `total` is their sum in the same form, or None for results that do not add up.

    >>> rows = Rows([{"layer": "stem", "macs": 442368}, {"layer": "fc", "macs": 640}])
    >>> len(rows), rows[1]["macs"]
    (2, 640)
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], total: Mapping[str, Any] | None = None) -> None:
        self._rows = [dict(row) for row in rows]
        self.total = None if total is None else dict(total)

    @classmethod
    def of(cls, table: Table) -> Rows:
        """Return the rows of a table as in the JSON of the command line."""
        return cls(plain_rows(table), plain_total(table))

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | Rows:
        return Rows(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and (self._rows, self.total) == (other._rows, other.total)

    __hash__ = None  # type: ignore[assignment]  # rows can change

    def __repr__(self) -> str:
        keys = ", ".join(self._rows[0]) if self._rows else ""
        return f"<{len(self)} rows: {keys}>"

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the rows as a list of dicts."""
        return [dict(row) for row in self._rows]

    def to_frame(self) -> Any:
        """Return the rows as a `pandas.DataFrame`.

        Raises ImportError if pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError:
            raise ImportError(
                "a DataFrame needs pandas (pip install pandas); to_dict() works without it"
            ) from None
        return pandas.DataFrame(self._rows)

"""Printed numbers: their digits, prefix and unit, and which counts are printed so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

_FIGURE = re.compile(r"(?P<digits>\d+(?:\.(?P<decimals>\d+))?) ?(?P<prefix>[kKMGTB]?)(?P<unit>[A-Za-z]*)")
_POWERS: Mapping[str, int] = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "B": 3, "T": 4}
_UNITS: Mapping[str, str] = {"mac": "MAC", "macs": "MAC", "flop": "FLOP", "flops": "FLOP", "": ""}


@dataclass(frozen=True)
class PrintedCount:
    """A printed number: digits without the point, how many decimals, the prefix's power, the unit.

    A number that is printed in hundreds of a prefix has two decimals fewer.
    """

    text: str
    digits: int
    decimals: int
    power: int
    unit: str = ""


def parse_figure(text: str) -> PrintedCount:
    """Read a printed number.

    Raises ValueError where a text is none.

    >>> parse_figure("4.12G"), parse_figure("125.75 MFLOPs").unit
    (PrintedCount(text='4.12G', digits=412, decimals=2, power=3, unit=''), 'FLOP')
    """
    found = _FIGURE.fullmatch(text.strip().replace(",", ""))
    if found is None or found["unit"].lower() not in _UNITS:
        raise ValueError(f"a claim is a number such as 4.12G, 4.12 GMACs or 300M, got {text or 'nothing'}")
    decimals = len(found["decimals"] or "")
    digits = int(found["digits"].replace(".", ""))
    return PrintedCount(text, digits, decimals, _POWERS[found["prefix"]], _UNITS[found["unit"].lower()])


def prints(value: int, text: str, prefix: str = "10^3", rounding: str = "rounded") -> bool:
    """Return whether a number is printed as a text.

    >>> prints(25_557_032, "25.56M"), prints(25_557_032, "25.5M")
    (True, False)
    """
    return is_printed(value, parse_figure(text), prefix, rounding)


def is_printed(value: int, figure: PrintedCount, prefix: str = "10^3", rounding: str = "rounded") -> bool:
    """Return whether a number has the printed digits."""
    low, high = bounds(figure, prefix, rounding)
    return low <= value < high


def bounds(figure: PrintedCount, prefix: str = "10^3", rounding: str = "rounded") -> tuple[int, int]:
    """Return the least number that has the printed digits, and the least greater one that has not.

    >>> bounds(parse_figure("4.12G")), bounds(parse_figure("4.12G"), rounding="cut off")
    ((4115000000, 4125000000), (4120000000, 4130000000))
    """
    base = 1024 if prefix == "2^10" else 1000
    unit = Fraction(base) ** figure.power / Fraction(10) ** figure.decimals
    half = Fraction(1, 2) if rounding == "rounded" else Fraction(0)
    low, high = (figure.digits - half) * unit, (figure.digits + 1 - half) * unit
    return -int(-low // 1), -int(-high // 1)

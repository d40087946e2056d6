"""Printed numbers: their digits, prefix and unit, and which counts have these digits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

PARAMETERS = "parameters"
_FIGURE = re.compile(
    r"(?:about |ca\. ?|[~≈])?(?P<digits>\d+(?:\.(?P<decimals>\d+))?)"
    r"(?:[eE]\+?(?P<e>\d+)| ?[x×*] ?10\^?(?P<ten>\d+))?"
    r" ?(?P<prefix>thousand|million|billion|trillion|[kKMGTB]?) ?(?P<unit>[A-Za-z][A-Za-z -]*?|)[sS]?"
)
_POWERS: Mapping[str, int] = {
    "": 0, "k": 1, "K": 1, "M": 2, "G": 3, "B": 3, "T": 4,
    "thousand": 1, "million": 2, "billion": 3, "trillion": 4,
}  # fmt: skip
_UNITS: Mapping[str, str] = {
    **dict.fromkeys(("flop", "floatingpointoperation"), "FLOP"),
    **dict.fromkeys(("mac", "macc", "madd", "multadd", "multiadd", "multiplyadd", "muladd", "fma"), "MAC"),
    **dict.fromkeys(("multiplyaccumulate", "multiplyaccumulation"), "MAC"),
    **dict.fromkeys(("param", "parameter", "weight"), PARAMETERS),
    **dict.fromkeys(("", "op", "operation"), ""),
}
_GROUPED = re.compile(r"\d{1,3}(,\d{3})+(?!\d)")  # 1,234,567; any other comma is a decimal point


@dataclass(frozen=True)
class PrintedCount:
    """A printed number: digits without the point, how many decimals, the prefix's power, the unit.

    A number that is printed in hundreds of a prefix has two decimals fewer. The unit is MAC, FLOP or
    parameters; "" where none is printed, or one that may be either.
    """

    text: str
    digits: int
    decimals: int
    power: int
    unit: str = ""
    spelling: str = ""  # of the unit, as it is printed


def parse_figure(text: str) -> PrintedCount:
    """Read a printed number.

    Raises ValueError if the text is not a number.

    >>> parse_figure("4.12G"), parse_figure("125.75 MFLOPs").unit
    (PrintedCount(text='4.12G', digits=412, decimals=2, power=3, unit='', spelling=''), 'FLOP')
    >>> parse_figure("600M Mult-Adds").unit, parse_figure("4.12e9").decimals, parse_figure("4,12 GMac").digits
    ('MAC', -7, 412)
    """
    found = _FIGURE.fullmatch(_with_points(text.strip()))
    unit = None if found is None else _UNITS.get(re.sub("[^a-z]", "", found["unit"].lower()))
    if found is None or unit is None or ((found["e"] or found["ten"]) and found["prefix"]):
        raise ValueError(f"a claim is a number such as 4.12G, 4.12 GMACs or 300M, got {text or 'nothing'}")
    decimals = len(found["decimals"] or "") - int(found["e"] or found["ten"] or 0)
    digits = int(found["digits"].replace(".", ""))
    return PrintedCount(text, digits, decimals, _POWERS[found["prefix"]], unit, found["unit"])


def parse_count(text: str) -> PrintedCount:
    """Read a printed number of operations.

    Raises ValueError if the text is not a number, or counts parameters.
    """
    found = parse_figure(text)
    if found.unit == PARAMETERS:
        raise ValueError(f"a claim counts operations, got {text}: parameters belong to --claim-params")
    return _whole(found)


def parse_parameters(text: str) -> PrintedCount:
    """Read a printed number of parameters.

    Raises ValueError if the text is not a number, or counts operations.
    """
    found = parse_figure(text)
    if found.unit not in ("", PARAMETERS):
        raise ValueError(f"--claim-params is a number of parameters such as 25.56M, got {text}")
    return _whole(found)


def _whole(figure: PrintedCount) -> PrintedCount:
    """Return a printed count, which stands for an integer.

    Raises ValueError if it has decimals but no prefix.
    """
    if figure.decimals > 3 * figure.power:
        raise ValueError(f"a count with decimals needs a prefix, as in 4.12G or 300.5M, got {figure.text}")
    return figure


def _with_points(text: str) -> str:
    """Return a text without commas between thousands, and with points for decimal commas."""
    return re.sub(",", "", text) if _GROUPED.match(text) else text.replace(",", ".", 1)


def is_printed(value: int, figure: PrintedCount, prefix: str = "10^3", rounding: str = "rounded") -> bool:
    """Return whether a number has the printed digits.

    >>> is_printed(25_557_032, parse_figure("25.56M")), is_printed(25_557_032, parse_figure("25.5M"))
    (True, False)
    """
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

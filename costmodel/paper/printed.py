"""What the paper prints, read from `printed.toml`: rows of Tables 1 to 4, claims of the text, slips."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from importlib.resources import files

from costmodel.digits import PrintedCount, is_printed
from costmodel.networks.resnet import ResNetDesign, resnet
from costmodel.networks.wording import path_text

BETA = Fraction(2)
# Of what power of ten a printed count is a multiple.
EXPONENTS: Mapping[str, int] = {"params": 6, "macs": 8}
ROUNDINGS = ("rounded", "truncated")


@dataclass(frozen=True)
class PrintedRow:
    """A row of Tables 1 to 4; printed values are texts, None where the table has no such column."""

    table: int
    row: int
    depth: int
    accuracy: str
    params: str
    macs: str | None = None
    alpha: Fraction = Fraction(0)
    printed_alpha: str | None = None  # where it differs from the alpha that is meant
    paths: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """The row's name, table.row."""
        return f"{self.table}.{self.row}"

    @property
    def kind(self) -> str:
        """The kind of network, plain, Oct or Pwise."""
        return "Pwise" if self.paths else "Oct" if self.alpha else "plain"

    @property
    def path_text(self) -> str:
        """The paths that are bottlenecks."""
        return path_text(self.paths) if self.paths else ""

    @property
    def label(self) -> str:
        """The network in a few words, with kind and depth, alpha, bottlenecks.

        >>> read_paper().by_key["3.1"].label
        'Pwise-56 0.25 HL,LH,LL'
        """
        return " ".join(filter(None, (f"{self.kind}-{self.depth}", self._alpha_text, self.path_text)))

    @property
    def family(self) -> str:
        """The kind with its alpha, whatever the depth and the bottlenecks.

        >>> [read_paper().by_key[key].family for key in ("1.1", "3.1")]
        ['plain', 'Pwise 0.25']
        """
        return " ".join(filter(None, (self.kind, self._alpha_text)))

    @property
    def _alpha_text(self) -> str:
        return f"{float(self.alpha):.2f}" if self.alpha else ""

    def network(self) -> ResNetDesign:
        """Return the network as this project builds it."""
        return resnet(self.depth, alpha=self.alpha, beta=BETA, paths=self.paths)

    def at_depth(self, depth: int) -> PrintedRow:
        """Return the same row for a network of another depth."""
        return replace(self, depth=depth)

    def printed(self, quantity: str) -> str | None:
        """Return the printed text of a quantity, params or macs."""
        return self.params if quantity == "params" else self.macs


@dataclass(frozen=True)
class Statement:
    """A statement of the text: what it says, or which rows it compares, and its number as text."""

    id: str
    where: str
    kind: str
    says: str = ""
    of: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    printed: str | None = None


@dataclass(frozen=True)
class Slip:
    """A place where the text contradicts its own tables or formulas."""

    id: str
    where: str
    prints: str
    known: str


@dataclass(frozen=True)
class Paper:
    """All that is printed."""

    rows: tuple[PrintedRow, ...]
    claims: tuple[Statement, ...]
    slips: tuple[Slip, ...]

    @cached_property
    def by_key(self) -> Mapping[str, PrintedRow]:
        """The rows by their names, table.row."""
        return {row.key: row for row in self.rows}

    def cells(self, quantity: str) -> tuple[PrintedRow, ...]:
        """Return the rows that print a quantity, params or macs.

        >>> paper = read_paper()
        >>> len(paper.cells("params")), len(paper.cells("macs"))
        (24, 16)
        """
        return tuple(row for row in self.rows if row.printed(quantity) is not None)


def read_paper() -> Paper:
    """Return what the paper prints."""
    text = (files("costmodel.paper") / "printed.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    rows = (
        PrintedRow(
            **{**row, "alpha": Fraction(row.get("alpha", "0")), "paths": frozenset(row.get("paths", ()))}
        )
        for row in document["rows"]
    )
    claims = (
        Statement(**{**claim, "of": tuple(claim.get("of", ())), "against": tuple(claim.get("against", ()))})
        for claim in document["claims"]
    )
    return Paper(tuple(rows), tuple(claims), tuple(Slip(**slip) for slip in document["slips"]))


def last_digit(printed: str) -> Decimal:
    """Return what one step of the last printed digit is worth.

    >>> last_digit("0.86")
    Decimal('0.01')
    """
    return Decimal(1).scaleb(int(Decimal(printed).as_tuple().exponent))


def figure(printed: str, quantity: str) -> PrintedCount:
    """Return a printed count of the paper: parameters in units of 10^6, MACs in units of 10^8.

    >>> figure("1.25", "macs")
    PrintedCount(text='1.25', digits=125, decimals=0, power=2, unit='', spelling='')
    """
    digit = last_digit(printed)
    decimals = -int(digit.logb()) - (EXPONENTS[quantity] - 6)
    return PrintedCount(printed, int(Decimal(printed) / digit), decimals, 2)


def matches(count: int, printed: str, quantity: str, rounding: str = "rounded") -> bool:
    """Return whether a count, rounded or truncated to the printed digits, is what is printed.

    >>> matches(858_000, "0.86", "params"), matches(858_000, "0.86", "params", "truncated")
    (True, False)
    """
    return is_printed(count, figure(printed, quantity), rounding=rounding)

"""Which public sources count in which way: what decides between readings that are equally simple.

A number alone cannot tell conventions apart that print the same digits. First comes the one that its
source is known to use; then one that spells the unit as it is printed; then that of the tables which the
network's own library publishes; then what most sources use.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from costmodel.reconcile.rules import ORDER, counters

OURS = "ours"
OUR_WORDS = "our MACs"
# How units are spelled that some counters alone print.
_SPELLINGS: Mapping[str, Sequence[str]] = {
    "Mac": ("ptflops", "ptflops-aten", "ptflops-0.6"),
    "mult-add": ("torchinfo",),
}


@dataclass(frozen=True)
class PublicSource:
    """A table or a project, words by which it is recognised, and the counter that it uses.

    library: whose own table it is, of networks with this prefix; "" where it is none.
    """

    name: str
    match: tuple[str, ...]
    counter: str
    library: str = ""

    @property
    def family(self) -> str:
        """The family of its counter."""
        return OURS if self.counter == OURS else family_of(self.counter)


@cache
def sources() -> tuple[PublicSource, ...]:
    """Return the public sources whose convention is known."""
    text = (files("costmodel.reconcile") / "usage.toml").read_text(encoding="utf-8")
    return tuple(
        PublicSource(**{**one, "match": tuple(one["match"])}) for one in tomllib.loads(text)["source"]
    )


def convention_of(source: str) -> PublicSource | None:
    """Return the known source that a text names, such as an address; None where it names none."""
    named = [one for one in sources() if any(word in source.lower() for word in one.match)]
    return named[0] if named else None


@dataclass(frozen=True)
class Provenance:
    """What is known of where a number comes from.

    source: where it is printed, such as an address. library: the one that the network is from, such as timm.
    known: the public sources that are taken for granted, all of them by default.
    """

    source: str = ""
    library: str = ""
    known: Sequence[PublicSource] | None = None

    def preference(
        self, families: Sequence[str], spelling: str = "", names: Sequence[str] = ()
    ) -> tuple[int, ...]:
        """Return what sorts families of counters that give the same digits: the more likely ones are less.

        `spelling` is the unit as it is printed; `names` say which counters of the families give the digits.
        """
        granted = sources() if self.known is None else self.known
        usage = Counter(one.family for one in granted)
        return (
            self._unstated(granted, families, names),
            int(not any(_counts(one, names) for one in _SPELLINGS.get(spelling, ()))),
            int(not any(one.library and one.library == self.library for one in _of(granted, families))),
            -sum(_counts(one.counter, names) for one in granted),
            -max((usage[family] for family in families), default=0),
            min((_order(family) for family in families), default=len(ORDER)),
        )

    def _unstated(
        self, granted: Sequence[PublicSource], families: Sequence[str], names: Sequence[str]
    ) -> int:
        """Return 0 for the counter that the source is known to use, 1 for one of its family, 2 for others."""
        named = convention_of(self.source) if self.source else None
        if named is None or named not in _of(granted, families):
            return 2
        return int(not _counts(named.counter, names))


def _counts(counter: str, names: Sequence[str]) -> bool:
    """Return whether names of what is counted, such as "what thop 0.1.1 prints", name a counter."""
    return any(name.startswith(_said(counter)) for name in names)


def _said(counter: str) -> str:
    return OUR_WORDS if counter == OURS else f"what {counter} "


def _of(known: Sequence[PublicSource], families: Sequence[str]) -> list[PublicSource]:
    return [one for one in known if one.family in families]


def _order(family: str) -> int:
    return 0 if family == OURS else 1 + ORDER.index(family)


def family_of(name: str) -> str:
    """Return the family of a counter: its versions, and what descends from its code."""
    return counters()[name].family

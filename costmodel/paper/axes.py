"""The choices that make a reading, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costmodel.paper.counting import PRINTED, described
from costmodel.report import Column, Table

# Each axis in words, with its values in words where these are not words already.
AXES: Mapping[str, str] = {
    "rounding": "printed digits",
    "width_rule": "a bottleneck's width",
    "compress_first": "first OctConv compressed",
    "compress_last": "last OctConv compressed",
    "compress_change": "OctConvs at stage changes compressed",
    "shortcut": "shortcuts at stage changes",
    "end_shortcut": "shortcuts of first and last block",
    "stride": "stride rule",
    "reduce": "first 1x1 convolutions counted",
    "expand": "second 1x1 convolutions counted",
    "shortcuts": "shortcut convolutions counted",
    "head": "head counted",
    "stem_bias": "bias of the stem",
    "plain_bias": "biases of standard convolutions",
    "octave_bias": "biases of OctConvs",
    "head_bias": "bias of the head",
    "bn": "BN numbers per channel",
    "bn_inner": "BN inside bottlenecks",
}
WORDS: Mapping[str, Mapping[Any, str]] = {
    "width_rule": {"out": "c_out/beta", "in": "c_in/beta", "min": "min/beta", "mean": "mean/beta"},
    "shortcut": {
        "free": "no parameters",
        "plain": "standard 1x1",
        "octave": "1x1 OctConv",
        "bottleneck": "1x1 bottlenecks",
    },
    "end_shortcut": {"free": "no parameters", "octave": "1x1 OctConv"},
    "stride": {"C-spatial": "C, on the kxk of a bottleneck"},
    "octave_bias": {"branch": "one per branch", "path": "one per path", "kernel": "one per convolution"},
}


def in_words(axis: str, value: Any) -> str:
    """Return the value of an axis in words.

    >>> in_words("reduce", False), in_words("octave_bias", "branch"), in_words("bn", 4)
    ('no', 'one per branch', '4')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return WORDS.get(axis, {}).get(value, str(value))


def reading_table() -> Table:
    """Return the reading that the report uses, axis by axis."""
    build, params, macs = (described(part) for part in (PRINTED.build, PRINTED.params, PRINTED.macs))
    rows = [{"axis": AXES["rounding"], "params": PRINTED.rounding, "macs": PRINTED.rounding}]
    for axis in list(AXES)[1:]:
        if axis == "stride":
            rows.append({"axis": AXES[axis], "params": "", "macs": build[axis]})
        elif axis in build:
            rows.append(
                {"axis": AXES[axis], **dict.fromkeys(("params", "macs"), in_words(axis, build[axis]))}
            )
        else:
            has_macs = axis in ("reduce", "expand", "shortcuts", "head")
            counted = in_words(axis, macs[axis]) if has_macs else ""
            rows.append({"axis": AXES[axis], "params": in_words(axis, params[axis]), "macs": counted})
    columns = [Column("axis", "choice"), Column("params", "parameters"), Column("macs", "MACs")]
    return Table("reading", "The reading from which the printed counts follow", columns, rows)

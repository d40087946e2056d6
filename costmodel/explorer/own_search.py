"""The search of a network's own page: what its stages cost by their choices, for the page to merge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from costmodel.networks.wording import path_text
from costmodel.search.front import IntArray
from costmodel.search.stage_costs import Measures
from costmodel.search.staged import StagedNetwork, StagedSpace
from costmodel.search.staged_costs import staged_tables

MEASURES = Measures(("params", "macs"))


def own_search(
    network: StagedNetwork,
    space: StagedSpace,
    shown: Mapping[str, str],
    rules: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the costs of all choices of all stages, as plain data.

    Args:
        network: the network by its stages.
        space: what the stages may choose.
        shown: texts for the page: `command`, which finds the same, and `input`, for which all of it holds.
        rules: further options of the conversion, as texts such as `inputs=(1, 3, 8, 8)`.

    Raises:
        ValueError: if a network's count may exceed 64 bits, or layers depend on too many stages at once.
    """
    costs = staged_tables(network, space, MEASURES)
    none = {"alpha": "0", "beta": "2", "paths": "none", "changes": False}
    return {
        **shown,
        "name": network.name,
        "rules": list(rules),
        "configurations": space.size,
        "titles": list(network.stages),
        # Python's own quotes, since the page writes names of networks as Python reads them.
        "patterns": [[repr(pattern), stage] for pattern, stage in network.patterns],
        "none": none,
        "choices": [
            {
                "alpha": str(choice.alpha),
                "beta": str(choice.beta),
                "paths": path_text(choice.paths),
                "changes": choice.alpha != 0 or "HH" in choice.paths,
            }
            for choice in space.choices
        ],
        "constant": costs.tables.constant.tolist(),
        "stages": [
            [list(_distinct(*both)) for both in zip(table, after, strict=True)]
            for table, after in zip(costs.tables.stages, costs.after, strict=True)
        ],
    }


def _distinct(table: IntArray, after: IntArray) -> Iterator[list[int]]:
    """Yield the state after, the costs and the number of each choice; of equal ones, the first."""
    rows = np.column_stack([after, table])
    _, first = np.unique(rows, axis=0, return_index=True)
    for choice in sorted(first.tolist()):
        yield [*rows[choice].tolist(), choice]

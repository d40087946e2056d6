"""The front of a converted network as tables, and each point as the name of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from costmodel.grids.quantities import heading_of
from costmodel.networks.wording import path_text
from costmodel.report import Column, Table, counted
from costmodel.search.search_table import searched
from costmodel.search.space import TIED
from costmodel.search.staged import StageChoice, StagedNetwork
from costmodel.search.staged_search import StagedFound, words_of


def stages_table(network: StagedNetwork) -> Table:
    """Return one row per stage: how many layers form it, and which."""
    rows = []
    for number, (title, names) in enumerate(network.stages.items()):
        patterns = [pattern for pattern, stage in network.patterns if stage == number]
        rows.append(
            {
                "stage": number + 1,
                "title": title,
                "count": len(names),
                "first": names[0],
                "last": names[-1],
                "patterns": " ".join(patterns),
                "layers": " ".join(names),
            }
        )
    columns = (
        Column("stage", "stage", "count"),
        Column("title", "of"),
        Column("count", "layers", "count"),
        Column("first", "first"),
        Column("last", "last"),
        Column("patterns", "patterns", on_terminal=False),
        Column("layers", "names", on_terminal=False),
    )
    return Table("stages", "Stages: layers that share alpha, beta and paths", columns, rows)


def staged_front_table(
    found: StagedFound, positions: Sequence[int], rules: Mapping[str, Any] | None = None
) -> Table:
    """Return some points of a front, one row each, with the names of the networks that cost them.

    `rules` are further options of the conversion, which all of these names have.
    """
    rows = [_row(found, position, rules or {}) for position in positions]
    title = f"Pareto front: {counted(len(found), 'point')} of {counted(found.space.size, 'configuration')}"
    columns = (
        Column("position", "#", "count"),
        *(Column(name, heading_of(name), "count") for name in found.measures.names),
        Column("configurations", "equal", "count"),
        Column("alpha", "alpha"),
        Column("beta", "beta"),
        Column("paths", "paths"),
        Column("network", "network", on_terminal=False),
    )
    return Table("front", title, columns, rows)


def _row(found: StagedFound, position: int, rules: Mapping[str, Any]) -> dict[str, Any]:
    choices = found.choices(position)
    alpha, beta, paths = words_of(choices)
    return {
        "position": position + 1,
        **found.costs(position),
        "configurations": int(found.count[position]),
        "alpha": alpha,
        "beta": beta,
        "paths": paths,
        "network": name_of(found.network, choices, rules),
    }


def name_of(network: StagedNetwork, choices: Sequence[StageChoice], rules: Mapping[str, Any]) -> str:
    """Return the name by which `cost`, `verify` and `train` take a configuration.

    >>> from costmodel.convention import Cost
    >>> net = StagedNetwork("net.py:Net", {"8x8": ("a",), "4x4": ("b",)}, (), Cost(), (("a", 0), ("b", 1)))
    >>> quarter = StageChoice(Fraction(1, 4), Fraction(2), frozenset())
    >>> name_of(net, [quarter, quarter], {})
    'convert(net.py:Net, alpha=1/4)'
    """
    changed = {key: value for key, value in rules.items() if value is not None}
    whole = set(choices)
    if len(whole) == 1 and all(stage >= 0 for _, stage in network.patterns):
        options = _uniform(whole.pop())
        if not options:
            return network.name
    else:
        options = {"layers": _literal(layers_of(network, choices))}
    given = [f"{key}={value}" for key, value in (options | _texts(changed)).items()]
    return f"convert({', '.join([network.name, *given])})"


def _uniform(choice: StageChoice) -> dict[str, str]:
    """The options of a conversion in which all layers make one choice; none where it changes nothing."""
    if choice.alpha == 0 and "HH" not in choice.paths:
        return {}
    options = {"alpha": str(choice.alpha)}
    if choice.paths:
        options |= {"beta": str(choice.beta), "paths": repr(path_text(choice.paths))}
    return options


def layers_of(network: StagedNetwork, choices: Sequence[StageChoice]) -> dict[str, str]:
    """Return the choices of all layers by patterns of their names, as `pwoct.convert` takes them."""
    none = StageChoice(Fraction(0), Fraction(2), frozenset())
    return {
        pattern: f"alpha:{chosen.alpha},{beta}paths:{path_text(chosen.paths)}"
        for pattern, stage in network.patterns
        for chosen in [choices[stage] if stage >= 0 else none]
        for beta in [f"beta:{chosen.beta}," if chosen.paths else ""]
    }


def _literal(layers: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{pattern!r}: {text!r}" for pattern, text in layers.items()) + "}"


def _texts(rules: Mapping[str, Any]) -> dict[str, str]:
    return {key: repr(value) for key, value in rules.items()}


def describe_staged(found: StagedFound, budgets: Mapping[str, Fraction]) -> dict[str, Any]:
    """Return what was asked, as plain values for JSON."""
    space = found.space
    return {
        **searched(space.size, len(found), found.measures, budgets),
        "space": {
            "model": [found.network.name],
            "alpha": [str(alpha) for alpha in space.alphas],
            "beta": [str(beta) for beta in space.betas],
            "paths": [path_text(paths) for paths in space.path_sets],
            "width_rule": [space.width_rule],
            "same_in_all_stages": [name for name in TIED if name in space.tied],
        },
    }

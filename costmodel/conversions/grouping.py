"""Stages of a network: groups of convolutions that share a choice, and the dependences between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from costmodel.tracing.calls import TraceError

BY_RESOLUTION, BY_MODULES = "resolution", "modules"
NO_STAGE = -1


class StagesError(TraceError):
    """The stages are empty or too many; the message is one line."""


def grouped(by: str, sizes: Mapping[str, tuple[int, int]]) -> dict[str, tuple[str, ...]]:
    """Return the stages of layers, by title, in the order in which they run.

    Args:
        by: "resolution" groups layers by the size of their outputs; "modules" by the first part of their
        names in which they differ; otherwise name patterns, separated by commas, one per stage.
        sizes: (h, w) of each layer's output, in the order in which the layers run.

    Raises:
        StagesError: if a pattern matches no layer.

    >>> grouped("resolution", {"a.0": (8, 8), "a.1": (4, 4), "b": (4, 4)})
    {'8x8': ('a.0',), '4x4': ('a.1', 'b')}
    >>> grouped("modules", {"net.a.0": (8, 8), "net.a.1": (4, 4), "net.b": (4, 4)})
    {'net.a': ('net.a.0', 'net.a.1'), 'net.b': ('net.b',)}
    """
    if by not in (BY_RESOLUTION, BY_MODULES):
        return _by_patterns(by.split(","), list(sizes))
    shared = _shared_parts([name.split(".") for name in sizes])
    stages: dict[str, list[str]] = {}
    for name, (h, w) in sizes.items():
        title = f"{h}x{w}" if by == BY_RESOLUTION else ".".join(name.split(".")[: shared + 1])
        stages.setdefault(title, []).append(name)
    return {title: tuple(names) for title, names in stages.items()}


def _by_patterns(patterns: Sequence[str], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Assign each layer to the first pattern that matches its name; layers without a match have no stage."""
    stages: dict[str, list[str]] = {pattern.strip(): [] for pattern in patterns}
    for name in names:
        fitting = next((pattern for pattern in stages if fnmatchcase(name, pattern)), None)
        if fitting is not None:
            stages[fitting].append(name)
    empty = [pattern for pattern, found in stages.items() if not found]
    if empty:
        some = ", ".join(names[:4])
        raise StagesError(
            f"stages are resolution, modules or patterns of names such as 'layer1.*,layer2.*'; no layer that "
            f"can be converted has a name like {empty[0]!r}: there are {some}, ..."
        )
    return {pattern: tuple(found) for pattern, found in stages.items()}


def _shared_parts(names: Sequence[Sequence[str]]) -> int:
    """Return the number of leading name parts that all layers share, short of a whole name."""
    least = min(map(len, names)) - 1
    return next((k for k in range(least) if len({name[k] for name in names}) > 1), max(0, least))


def patterns_of(stages: Sequence[Sequence[str]], others: Iterable[str] = ()) -> list[tuple[str, int]]:
    """Return patterns with the stages that they stand for, general ones first: the last match applies.
    `others` are layers that belong to no stage: their patterns stand for NO_STAGE.

    >>> patterns_of([["a.0.x", "a.1.x", "b.0.x"], ["b.0.y", "b.1.x"]], ["c"])
    [('a.*', 0), ('b.*', 1), ('b.0.*', 0), ('b.0.y', 1), ('c', -1)]
    """
    stage_of = {name: stage for stage, found in enumerate(stages) for name in found}
    stage_of |= {name: NO_STAGE for name in others if name not in stage_of}
    found: list[tuple[str, int]] = []
    _patterns_below("", stage_of, found)
    return found


def _patterns_below(prefix: str, stage_of: Mapping[str, int], found: list[tuple[str, int]]) -> None:
    """Append the patterns of the modules below a prefix, each before its exceptions."""
    children: dict[str, dict[str, int]] = {}
    for name, stage in stage_of.items():
        part = name[len(prefix) :].split(".")[0]
        children.setdefault(part, {})[name] = stage
    for part, inside in children.items():
        whole = f"{prefix}{part}"
        if list(inside) == [whole]:
            found.append((whole, inside[whole]))
        else:
            _patterns_of_module(whole, inside, found)


def _patterns_of_module(whole: str, inside: Mapping[str, int], found: list[tuple[str, int]]) -> None:
    most = Counter(inside.values()).most_common(1)[0][0]
    others: list[tuple[str, int]] = []
    if len(set(inside.values())) > 1:
        _patterns_below(f"{whole}.", inside, others)
    found.append((f"{whole}.*", most))
    found += _needed(others, most, inside)


def _needed(others: Sequence[tuple[str, int]], most: int, inside: Mapping[str, int]) -> list[tuple[str, int]]:
    """Remove patterns whose layers get the right stage from the patterns before them."""
    kept: list[tuple[str, int]] = []
    for position, (pattern, stage) in enumerate(others):
        rest = [(pattern, stage) for pattern, stage in others[position + 1 :]]
        before = [("*", most), *kept]
        if any(
            _stage(name, [*before, *rest]) != wanted
            for name, wanted in inside.items()
            if fnmatchcase(name, pattern)
        ):
            kept.append((pattern, stage))
    return kept


def _stage(name: str, patterns: Sequence[tuple[str, int]]) -> int | None:
    found = [stage for pattern, stage in patterns if fnmatchcase(name, pattern)]
    return found[-1] if found else None


def dependencies(
    stages: Sequence[Sequence[str]],
    feeds: Mapping[str, frozenset[str]],
    having_groups: Iterable[str],
    others: Iterable[str] = (),
) -> dict[str, tuple[int, ...]]:
    """Return, for each layer, the stages on whose choices its sizes depend, in order.

    A layer's input has the branches of the layers that feed it. Layers that meet in one input form a class,
    since a layer whose output none uses closes the octave layers; a grouped layer passes branches on. So a
    layer depends on the stages of its own class and of the class that feeds it. `others` are layers that
    belong to no stage.
    """
    stage_of = {name: stage for stage, found in enumerate(stages) for name in found}
    class_of = _bound(feeds, set(having_groups))
    reached = _reached(stage_of | dict.fromkeys(others, NO_STAGE), class_of, feeds)
    found: dict[str, tuple[int, ...]] = {}
    for name in (*stage_of, *others):
        classes = {class_of[other] for other in (name, *feeds.get(name, ()))}
        every = {stage_of.get(name, NO_STAGE)}.union(*(reached.get(one, ()) for one in classes))
        found[name] = tuple(sorted(every - {NO_STAGE}))
    return found


def _reached(
    stage_of: Mapping[str, int], class_of: Mapping[str, str], feeds: Mapping[str, frozenset[str]]
) -> dict[str, set[int]]:
    """Return the stages on which the branches of each class depend: those of its layers.

    Where layers of several stages meet, a layer that stays plain closes the octave layers if its input has
    two branches, so the stages that feed them count too.
    """
    reached: dict[str, set[int]] = {}
    for name, stage in stage_of.items():
        reached.setdefault(class_of[name], set()).add(stage)
    mixed = {one for one, found in reached.items() if len(found) > 1}
    entering = [
        (class_of[name], class_of[other])
        for name in stage_of
        if class_of[name] in mixed
        for other in feeds.get(name, ())
    ]
    while any(not reached.get(source, set()) <= reached[one] for one, source in entering):
        for one, source in entering:
            reached[one] |= reached.get(source, set())
    return reached


def _bound(feeds: Mapping[str, frozenset[str]], having_groups: set[str]) -> dict[str, str]:
    """Return a representative of each layer's class (union-find)."""
    parent = {name: name for name in {*feeds, *(one for found in feeds.values() for one in found)}}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for name, found in feeds.items():
        together = [*found, *([name] if name in having_groups else [])]
        for one in together[1:]:
            parent[root(one)] = root(together[0])
    return {name: root(name) for name in parent}

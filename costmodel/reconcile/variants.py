"""Usual variants of a network whose counts follow from those of one run: other classes, no head, no stem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod

from costmodel.reconcile.bridge import Prediction, predict, short_name
from costmodel.reconcile.events import ModuleFacts, Seen
from costmodel.reconcile.rules import Rules

OPERATOR = "scaled_dot_product_attention"
CLASSES = (10, 100, 1000, 21841)
_HEADS = ("Linear", "Conv1d", "Conv2d", "Conv3d")
_OUTPUTS = ("out_features", "out_channels")


@dataclass(frozen=True)
class ClaimVariant:
    """A network of which some modules are scaled: by 0 without them, by n/c with n classes instead of c.

    A head's work and parameters are proportional to its outputs, for us and for every counter.
    """

    words: str = ""
    steps: int = 0  # how far from the network as it is
    scales: Mapping[str, Fraction] = field(default_factory=dict)
    idle: tuple[str, ...] = ()  # modules that did not run, without whose parameters it is

    def macs(self, observed: Seen) -> int:
        """Our MACs."""
        lost = sum(
            (1 - self.scales[event.module]) * event.macs
            for event in observed.events
            if event.macs and event.module in self.scales
        )
        return int(observed.macs - lost)

    def total(self, prediction: Prediction) -> int:
        """What a counter says."""
        inside = prediction.by_module
        return int(prediction.total - sum((1 - s) * inside.get(path, 0) for path, s in self.scales.items()))

    def parameters(self, observed: Seen) -> int:
        """Its parameters."""
        lost = sum((1 - s) * _own_parameters(observed.modules[path]) for path, s in self.scales.items())
        unused = sum(_own_parameters(observed.modules[path]) for path in self.idle)
        return int(observed.parameters - lost - unused)


AUXILIARY = ClaimVariant("with auxiliary heads, which run only in training", 1)
WRITTEN_OUT = ClaimVariant("attention written out as products of matrices")


@dataclass(frozen=True)
class OtherRun:
    """What runs of a network in another form of it, and what counters say of that."""

    variant: ClaimVariant
    seen: Seen
    predictions: tuple[Prediction, ...]


def has_fused_attention(observed: Seen) -> bool:
    """Return whether attention runs as one operator, which most counters do not see."""
    return any(event.name == OPERATOR for event in observed.events)


def other_runs(
    observed: Seen, observe: Callable[..., Seen | None], rules: Sequence[Rules]
) -> tuple[OtherRun, ...]:
    """Return the other runs of a network that a number may be of.

    `observe(auxiliary=True)` and `observe(written_out=True)` run it so, or return None where it can't be run.
    """
    runs = []
    if idle_layers(observed):
        seen = observe(auxiliary=True)
        runs += [(AUXILIARY, seen)] if seen is not None and seen.macs > observed.macs else []
    if has_fused_attention(observed):
        seen = observe(written_out=True)
        runs += [(WRITTEN_OUT, seen)] if seen is not None else []
    return tuple(
        OtherRun(variant, seen, tuple(predict(seen, one) for one in rules)) for variant, seen in runs
    )


def variants(observed: Seen) -> Iterator[ClaimVariant]:
    """Yield the network as it is, and its usual variants."""
    yield ClaimVariant()
    ran = [event for event in observed.events if event.level == "module" and event.module in observed.modules]
    layers = [event for event in ran if _classes(observed.modules[event.module]) is not None]
    paths = [event.module for event in layers]
    if len(paths) > 1 and paths.count(paths[-1]) == 1:
        yield from _heads(observed.modules[paths[-1]])
    if len(paths) > 1 and paths.count(paths[0]) == 1:
        yield ClaimVariant(f"without the stem {paths[0]}", 3, {paths[0]: Fraction(0)})
    if idle := idle_layers(observed):
        yield ClaimVariant("without modules that do not run, such as auxiliary heads", 1, idle=idle)


def idle_layers(observed: Seen) -> tuple[str, ...]:
    """Return the modules with parameters, and without children, that did not run."""
    ran = {event.module for event in observed.events if event.level == "module"}
    return tuple(
        path
        for path, facts in observed.modules.items()
        if path not in ran and facts.parameters and not facts.children
    )


def _heads(facts: ModuleFacts) -> Iterator[ClaimVariant]:
    now = _classes(facts)
    yield ClaimVariant(f"without the head {facts.path}", 2, {facts.path: Fraction(0)})
    for classes in CLASSES:
        if classes != now:
            yield ClaimVariant(f"{classes:,} classes", 2, {facts.path: Fraction(classes, now or 1)})


def _classes(facts: ModuleFacts) -> int | None:
    if not any(short_name(name) in _HEADS for name in facts.classes):
        return None
    found = [facts.attributes[name] for name in _OUTPUTS if name in facts.attributes]
    return int(found[0]) if found else None


def _own_parameters(facts: ModuleFacts) -> int:
    return sum(prod(shape) for _, shape, _ in facts.parameters)

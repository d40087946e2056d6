"""A counter's total, the sum of its prices over what ran, and the terms by which it differs from ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

from costmodel.reconcile.events import Event, ModuleFacts, Seen, Shape
from costmodel.reconcile.expressions import Names, evaluate
from costmodel.reconcile.repeats import repeats
from costmodel.reconcile.rules import PriceRule, Rules

_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
# The names of arguments by position; a function of torch.nn.functional and what it calls may differ.
SIGNATURES: Mapping[tuple[str, str], tuple[str, ...]] = {
    **{(level, f"conv{d}d"): _CONV for level in ("call", "function") for d in (1, 2, 3)},
    **{(level, f"conv_transpose{d}d"): _TRANSPOSED for level in ("call", "function") for d in (1, 2, 3)},
    **{(level, "linear"): _CONV[:3] for level in ("call", "function")},
    ("call", "batch_norm"): ("input", "weight", "bias", "mean", "var", "training"),
    ("function", "batch_norm"): ("input", "mean", "var", "weight", "bias", "training"),
    ("call", "instance_norm"): ("input", "weight", "bias"),
    ("function", "instance_norm"): ("input", "mean", "var", "weight", "bias"),
    **{(level, "layer_norm"): ("input", "shape", "weight", "bias") for level in ("call", "function")},
    **{(level, "group_norm"): ("input", "groups", "weight", "bias") for level in ("call", "function")},
    **{
        (level, "scaled_dot_product_attention"): ("query", "key", "value", "attn_mask")
        for level in ("call", "function")
    },
    **{("function", name): ("input", "size", "scale_factor", "mode") for name in ("interpolate", "upsample")},
}


_CONVOLUTIONS = frozenset(f"{name}{d}d" for name in ("conv", "conv_transpose") for d in (1, 2, 3))


class NoPriceError(ValueError):
    """A counter is not predicted: a rule meets what it has no price for, or the counter is known to fail."""


@dataclass(frozen=True, slots=True)
class DifferenceTerm:
    """A part of the difference between a counter's total and ours."""

    what: str
    amount: Fraction  # what it counts beyond our MACs, in its unit
    counted: Fraction  # what it counts there altogether
    events: int


@dataclass(frozen=True)
class Prediction:
    """What a counter reports for a network, by its rules."""

    counter: Rules
    total: int
    ours: int  # our MACs in its unit
    terms: tuple[DifferenceTerm, ...]
    by_module: Mapping[str, Fraction] = field(default_factory=dict)
    terms_by_module: Mapping[str, tuple[DifferenceTerm, ...]] = field(default_factory=dict)

    @property
    def difference(self) -> int:
        """What it counts beyond our MACs."""
        return self.total - self.ours


@dataclass(slots=True)
class _Priced:
    what: str
    module: str
    counted: Fraction
    own: int  # our MACs that it covers, in the counter's unit


def predict(observed: Seen, counter: Rules) -> Prediction:
    """Return what a counter reports for what ran, with the terms by which it differs.

    The terms' amounts add up to the difference of the totals, to the last unit.

    Raises NoPriceError if a rule has no price for what it meets, or the counter is known to fail, and
    ValueError where objects stand for tensors, and it is not known what the counter sees of them.
    """
    if observed.stand_ins and not counter.stand_ins:
        kinds = ", ".join(sorted(observed.stand_ins))
        raise ValueError(f"{counter.name} is not predicted where objects stand for tensors, as {kinds} does")
    try:
        found = list(_priced(observed, counter))
    except (IndexError, TypeError, ZeroDivisionError, ValueError) as error:
        raise NoPriceError(f"{counter.name} is not predicted for what this network does: {error}") from error
    whole = sum((item.counted for item in found), Fraction(0))
    total = int(whole)
    terms = _terms(found)
    if whole != total:  # per image, and the batch does not divide it
        terms = (*terms, DifferenceTerm("rounded down", total - whole, Fraction(0), 1))
    by_module: dict[str, list[_Priced]] = {}
    for item in found:
        by_module.setdefault(item.module, []).append(item)
    return Prediction(
        counter,
        total,
        observed.macs * counter.macs_per_unit,
        terms,
        {path: sum((item.counted for item in items), Fraction(0)) for path, items in by_module.items()},
        {path: _terms(items) for path, items in by_module.items()},
    )


def _priced(observed: Seen, counter: Rules) -> Iterator[_Priced]:
    events = observed.events
    inside = _inside(events)
    times = repeats(observed, counter)
    chosen: list[_Priced | None] = []
    unseen: list[_Priced] = []
    for index, event in enumerate(events):
        rule = _rule_for(event, observed, counter, inside[index])
        if rule is not None and counter.outermost and _is_hidden(event, events, chosen):
            rule = None
        priced = None
        if rule is not None:
            names = _names(event, observed, inside[index])
            price: Any = evaluate(rule.price, names)
            if event.level == "module" or counter.repeats == "ways":
                price = price * times[event.module]
            if event.level == "module" and counter.per_image:
                price = Fraction(price, observed.images)
            priced = _Priced(rule.what, event.module, Fraction(price), 0)
        chosen.append(priced)
        if event.macs:
            covering = _covering(index, events, chosen)
            amount = event.macs * counter.macs_per_unit
            if covering is None:
                unseen.append(
                    _Priced(f"{event.kind}, which it does not count", event.module, Fraction(0), amount)
                )
            else:
                covering.own += amount
    yield from (item for item in chosen if item is not None)
    yield from unseen


def _is_hidden(event: Event, events: tuple[Event, ...], chosen: list[_Priced | None]) -> bool:
    """Return whether a function runs inside another one, or inside a module that has a rule."""
    index = event.parent
    while index >= 0 and event.level != "module":
        if events[index].level != "module" or chosen[index] is not None:
            return True
        index = events[index].parent
    return False


def _covering(index: int, events: tuple[Event, ...], chosen: list[_Priced | None]) -> _Priced | None:
    """Return the innermost priced event around an operator, or the operator itself."""
    while index >= 0:
        if chosen[index] is not None:
            return chosen[index]
        index = events[index].parent
    return None


class _Inside(NamedTuple):
    """What runs inside an event: our MACs, and how many operators have some."""

    macs: int
    products: int


def _inside(events: tuple[Event, ...]) -> list[_Inside]:
    found = [_Inside(event.macs, int(event.macs > 0)) for event in events]
    for index in range(len(events) - 1, -1, -1):  # what runs inside an event comes after it
        parent = events[index].parent
        if parent >= 0:
            found[parent] = _Inside(*map(sum, zip(found[parent], found[index], strict=True)))
    return found


def _rule_for(event: Event, observed: Seen, counter: Rules, inside: _Inside) -> PriceRule | None:
    if event.level == "call" and counter.unused == "dropped" and not event.is_used:
        return None
    for name in _keys(event, observed, counter):
        for rule in counter.by_name.get((event.level, name), ()):
            if not rule.when or evaluate(rule.when, _names(event, observed, inside)):
                return rule
    return None


def _keys(event: Event, observed: Seen, counter: Rules) -> list[str]:
    """Return the names by which a rule may mean an event, the first that has one wins."""
    if event.level != "module":
        return [event.name]
    if event.name.startswith("("):  # it is not a module of the model, so that no hook is on it
        return []
    facts = observed.modules[event.module]
    names = [short_name(name) for name in facts.classes]
    own = names if counter.classes == "bases" else names[:1]
    return [*own, "*" if facts.children else "leaf"]


def short_name(qualified: str) -> str:
    """Return the name of a class: without its module where this is torch.nn's.

    >>> short_name("torch.nn.modules.conv.Conv2d"), short_name("net.Conv2d")
    ('Conv2d', 'net.Conv2d')
    """
    return qualified.rpartition(".")[2] if qualified.startswith("torch.nn.") else qualified


def _names(event: Event, observed: Seen, inside: _Inside) -> Names:
    shapes = [value for value in _flat((event.arguments, event.options)) if isinstance(value, Shape)]
    facts: ModuleFacts | None = observed.modules.get(event.module) if event.level == "module" else None
    names = Names(
        facts.attributes if facts else {},
        name=event.name,
        a=event.arguments,
        shapes=tuple(shapes),
        x=shapes[0] if shapes else None,
        w=shapes[1] if len(shapes) > 1 else None,
        y=event.outputs[0] if event.outputs else None,
        outputs=event.outputs,
        macs=inside.macs,
        products=inside.products,
        batch=observed.batch,
        parameters=facts.parameters if facts else (),
        class_name=event.name,
        is_leaf=facts is not None and not facts.children,
    )
    names.update(zip(SIGNATURES.get((event.level, event.name), ()), event.arguments, strict=False))
    names.update(event.options)
    if event.level == "call" and event.name in _CONVOLUTIONS:
        names.update(_batched(names))
    return names


def _batched(names: Names) -> dict[str, Any]:
    """Return the maps of a convolution as a traced graph has them: where there is no batch, with one of 1."""
    x, y, weight = names["input"], names["y"], names["weight"]
    if not (isinstance(x, Shape) and isinstance(weight, Shape)) or len(x) == len(weight):
        return {}
    return {"x": Shape((1, *x)), "input": Shape((1, *x)), "y": Shape((1, *y))}


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, Shape) or not isinstance(value, tuple | Mapping):
        yield value
    elif isinstance(value, Mapping):
        yield from _flat(tuple(value.values()))
    else:
        for item in value:
            yield from _flat(item)


def _terms(found: list[_Priced]) -> tuple[DifferenceTerm, ...]:
    """Return the sums by what they are; those that agree with ours last."""
    groups: dict[str, list[_Priced]] = {}
    for item in found:
        if item.counted or item.own:
            groups.setdefault(item.what, []).append(item)
    terms = [
        DifferenceTerm(
            what,
            sum((item.counted - item.own for item in items), Fraction(0)),
            sum((item.counted for item in items), Fraction(0)),
            len(items),
        )
        for what, items in groups.items()
    ]
    return tuple(sorted(terms, key=lambda term: -abs(term.amount)))

"""The gradients of a training step: operators of the backward pass, by the forward calls that caused them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from costmodel.convention import Cost
from costmodel.tracing.calls import Call
from costmodel.tracing.pricing import Shapes, Translate, gradients_of_convolution, price
from costmodel.tracing.raw import Raw


def backward_calls(forward: Sequence[Raw], calls: Sequence[Raw], size: Translate) -> tuple[Call, ...]:
    """Return the calls of a backward pass, attributed to modules; their MACs are those of gradients.

    The sequence number of an autograd node made by a forward call is below that call's and not below the
    previous call's. Recomputed calls (checkpointing) name their own module.
    """
    makers = [*forward, *(raw for raw in calls if raw.module)]
    numbers = [raw.sequence for raw in makers]
    found = []
    for raw in calls:
        maker = _maker(raw, makers, numbers)
        call = _gradient(raw, maker, size)
        if maker is not None and not raw.module:
            call = replace(call, module=maker.module, execution=maker.execution)
        found.append(call)
    return tuple(found)


def _maker(raw: Raw, makers: Sequence[Raw], numbers: Sequence[int]) -> Raw | None:
    if raw.node is None:
        return None
    index = bisect_right(numbers, raw.node)
    return makers[index] if index < len(makers) else None


def _gradient(raw: Raw, maker: Raw | None, size: Translate) -> Call:
    if raw.base == "convolution_backward":
        return _of_convolution(raw, size)
    call = price(raw, size)
    if raw.is_torchs and "backward" in raw.base and call.reason:
        call = replace(call, reason=_inherited(raw, maker, size), kind=_kind(raw, maker, size))
    macs = call.cost.macs
    is_for_weight = (
        maker is not None
        and any(spec.of_weights for spec in maker.inputs)
        and not any(spec.of_weights for spec in raw.inputs)
    )
    grads = Cost(macs_weight_grad=macs) if is_for_weight else Cost(macs_input_grad=macs)
    return replace(call, cost=replace(call.cost, macs=0, activations=0) + grads, parts={})


def _of_convolution(raw: Raw, size: Translate) -> Call:
    """Return the call with the gradients that it computes apart."""
    to_input, to_weight = gradients_of_convolution(Shapes(raw, size))
    call = price(raw, size)
    cost = replace(call.cost, macs=0, activations=0)
    return replace(call, cost=cost + Cost(macs_input_grad=to_input, macs_weight_grad=to_weight))


def _inherited(raw: Raw, maker: Raw | None, size: Translate) -> str:
    """The gradient of an operator without products has none either: it is linear in the incoming gradient."""
    if maker is None:
        return price(raw, size).reason
    forward = price(maker, size)
    return "" if forward.is_covered and forward.cost.macs == 0 else price(raw, size).reason


def _kind(raw: Raw, maker: Raw | None, size: Translate) -> str:
    return price(maker if maker is not None else raw, size).kind

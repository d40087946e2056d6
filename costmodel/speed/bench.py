"""Measured time of networks and layers, and the roofline's prediction. A bridge: it runs `pwoct` networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from costmodel.convention import Cost
from costmodel.networks.network import layers
from costmodel.networks.resnet import ResNetDesign
from costmodel.operators.recorder import Operator, cost_of
from costmodel.speed.prediction import OWN_KERNELS, Sample, fit, seconds
from costmodel.speed.roofline import Machine
from costmodel.speed.stopwatch import Clock, Timing, in_turns
from pwoct.branches import Octave, as_octave, size_of, strided
from pwoct.octave import OctConv
from pwoct.plan import plan_for, with_plan
from pwoct.plan.lean.network import convolve
from pwoct.plan.shared.maps import Maps
from pwoct.resnet import resnet


@dataclass(frozen=True)
class BenchSetting:
    """The settings that all candidates of a run share."""

    batch: int
    dtype: str
    mode: str  # one of MODES in costmodel.speed.stopwatch
    plan: str  # a plan, or "auto" for the best one

    @property
    def training(self) -> bool:
        """Whether a step forward and backward is timed, rather than a pass forward."""
        return self.mode == "training"


@dataclass(frozen=True)
class Measurement:
    """A candidate: its plan, measured seconds, predicted seconds and for which machine, exact costs."""

    design: ResNetDesign
    plan: str
    timing: Timing
    predicted: float
    machine: Machine  # as attained by the kernels of the plan
    operators: Sequence[Operator]

    @property
    def cost(self) -> Cost:
        """Everything that the network does."""
        return cost_of(self.operators)


def bench(
    designs: Sequence[ResNetDesign],
    setting: BenchSetting,
    machine: Machine,
    *,
    rounds: int,
    clock: Clock = time.perf_counter,
    fitted: int | None = None,
) -> list[Measurement]:
    """Time networks alternately, the first also with the plan "reference", which gives the second result.

    The machine's attained ceilings, used in predictions, are fitted to the first `fitted` networks, or all.
    """
    candidates = [(design, setting.plan) for design in designs]
    candidates.insert(1, (designs[0], "reference"))
    chosen = [_prepare(design, setting, plan) for design, plan in candidates]
    timings = in_turns({str(i): run for i, (_, run) in enumerate(chosen)}, rounds, clock)
    samples: list[Sample] = [
        (design.operators(setting.batch), plan, timings[str(i)].median)
        for i, ((design, _), (plan, _)) in enumerate(zip(candidates, chosen, strict=True))
    ]
    own, library = _attained(machine, samples[: fitted and fitted + 1], setting)
    attained = {plan: own if plan in OWN_KERNELS else library for _, plan, _ in samples}
    return [
        Measurement(
            design,
            plan,
            timings[str(i)],
            seconds(operators, attained[plan], setting.dtype, training=setting.training, plan=plan),
            attained[plan],
            operators,
        )
        for i, ((design, _), (operators, plan, _)) in enumerate(zip(candidates, samples, strict=True))
    ]


def _attained(machine: Machine, known: Sequence[Sample], setting: BenchSetting) -> tuple[Machine, Machine]:
    """Return the machine as attained by this package's kernels, and by the library's.

    Each is fitted to the known networks that those kernels computed; if there are none, to all networks.
    """
    alike = [[s for s in known if (s[1] in OWN_KERNELS) == is_own] for is_own in (True, False)]
    own, library = (fit(machine, group or known, setting.dtype, training=setting.training) for group in alike)
    return own, library


def build(design: ResNetDesign) -> nn.Module:
    """Return the module of a network that the formulas describe."""
    backbone, stages = design.backbone, design.stages
    model = resnet(
        backbone.depth,
        alpha=[stage.alpha for stage in stages],
        beta=[stage.beta for stage in stages],
        paths=[sorted(stage.paths) for stage in stages],
        width_rule=design.width_rule,
        stride_rule=backbone.stride_rule,
        between=design.between,
        shortcut=backbone.shortcut,
        width=int(backbone.width),
        classes=int(backbone.classes),
        in_channels=int(backbone.in_channels),
    )
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _prepare(design: ResNetDesign, setting: BenchSetting, plan: str) -> tuple[str, Callable[[], object]]:
    """Return the plan of a network and a function that runs it once."""
    torch.manual_seed(0)
    model, x = build(design), _images(design, setting)
    dtype, size = x.dtype, (x.shape[2], x.shape[3])
    plan = plan_for(model, x.shape, dtype, setting.training) if plan == "auto" else plan
    if setting.training:
        forward, labels = with_plan(model.train(), plan), torch.zeros(setting.batch, dtype=torch.long)
        return plan, lambda: _step(forward, x.float(), labels, dtype)
    network = with_plan(model.eval(), plan, size=size, dtype=dtype).to(dtype)
    return plan, lambda: _pass(network, x)


def _step(forward: nn.Module, x: Tensor, labels: Tensor, dtype: torch.dtype) -> None:
    """Make a training step without the optimiser; bfloat16 by autocast, as the trainer does it."""
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits = forward(x)
    cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
    for parameter in forward.parameters():
        parameter.grad = None


@torch.no_grad()
def _pass(network: nn.Module, x: Octave | Tensor) -> None:
    network(x)


@dataclass(frozen=True)
class LayerMeasurement:
    """Identical layers: names, count, time by the reference, by a plan, and of the plain layer."""

    name: str
    times: int
    operators: list[Operator]
    reference: Timing
    planned: Timing | None
    plain: Timing | None


def bench_layers(
    design: ResNetDesign, setting: BenchSetting, *, rounds: int, clock: Clock = time.perf_counter
) -> list[LayerMeasurement]:
    """Time the forward pass of each distinct convolution, and of the plain convolution that it replaces."""
    model = build(design).eval().to(getattr(torch, setting.dtype))
    groups = list(_distinct(design, setting.batch))
    inputs = _inputs(model, [name for name, _, _ in groups], _images(design, setting))
    results = []
    for name, times, operators in groups:
        timings = in_turns(_layer_runs(model.get_submodule(name), inputs[name]), rounds, clock)
        timed = (timings["reference"], timings.get("lean"), timings.get("plain"))
        results.append(LayerMeasurement(name, times, operators, *timed))
    return results


def _distinct(design: ResNetDesign, batch: int) -> Iterator[tuple[str, int, list[Operator]]]:
    """Yield layers with distinct costs: the name of the first, their number, the operators."""
    groups: dict[Any, list[tuple[str, list[Operator]]]] = {}
    for name, operators in layers(design.operators(batch)):
        if any(operator.part == "conv" for operator in operators):
            key = tuple((operator.part, operator.cost, operator.channels) for operator in operators)
            groups.setdefault(key, []).append((name, operators))
    for group in groups.values():
        yield group[0][0], len(group), group[0][1]


@torch.no_grad()
def _inputs(model: nn.Module, names: Sequence[str], x: Tensor) -> dict[str, Octave | Tensor]:
    """Return what each of the named layers reads in a pass of the whole network."""
    read: dict[str, Octave | Tensor] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda _, arguments: read.update({name: arguments[0]})

    hooks = [model.get_submodule(name).register_forward_pre_hook(note(name)) for name in names]
    model(x)
    for hook in hooks:
        hook.remove()
    return read


def _layer_runs(module: nn.Module, x: Octave | Tensor) -> dict[str, Callable[[], object]]:
    runs: dict[str, Callable[[], object]] = {"reference": lambda: _pass(module, x)}
    if isinstance(module, OctConv):
        octave = as_octave(x)
        plain, x_plain = _plain_layer(module, octave)
        size = strided(size_of(x_plain), module.stride)
        runs["lean"] = torch.no_grad()(lambda: convolve(module, Maps(octave), size))
        runs["plain"] = lambda: _pass(plain, x_plain)
    return runs


def _plain_layer(layer: OctConv, x: Octave) -> tuple[nn.Module, Tensor]:
    """Return the standard convolution of the layer's channels, kernel and stride, and an input for it."""
    (k_h, k_w), like = layer.kernel_size, x.low if x.high is None else x.high
    assert like is not None
    plain = nn.Conv2d(layer.c_in, layer.c_out, (k_h, k_w), layer.stride, (k_h // 2, k_w // 2), bias=False)
    factor = 2 if x.high is None else 1
    shape = (len(like), layer.c_in, factor * like.shape[2], factor * like.shape[3])
    x_plain = torch.randn(shape).to(like.dtype, memory_format=torch.channels_last)
    plain = plain.to(like.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return plain, x_plain


def _images(design: ResNetDesign, setting: BenchSetting) -> Tensor:
    backbone = design.backbone
    shape = (setting.batch, int(backbone.in_channels), int(backbone.size[0]), int(backbone.size[1]))
    x = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    return x.to(getattr(torch, setting.dtype))

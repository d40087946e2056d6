"""A network by stages, for search: its layers' forms for all states of the stages they depend on.

A layer depends on a few stages: its own, and those that feed it. So a few dry runs of the network determine
its form in every configuration: stages on which no layer depends jointly are varied at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import Any

from torch import nn

from costmodel.convention import Cost
from costmodel.conversions.flow import Flow, flow_of
from costmodel.conversions.grouping import StagesError, dependencies, grouped, patterns_of
from costmodel.operators.converted import ConvertedLayer
from costmodel.search.staged import LayerForm, StagedLayer, StagedNetwork, StagedSpace, StageState
from costmodel.tracing.calls import Trace, is_inside
from pwoct.conversion.options import LayerChoice, Options
from pwoct.conversion.plan import ALONE, PASSES_ON, DryRunError, plan, refused_before
from pwoct.conversion.report import ConvSpec, LayerReport

MOST_RUNS = 4096
PROBE = LayerChoice(Fraction(1, 2), Fraction(2), ("HH", "HL", "LH", "LL"))
PLAIN = LayerChoice(Fraction(0), Fraction(2), ())


Form = dict[tuple[StageState, ...], LayerForm | None]


@dataclass(frozen=True)
class ChosenByName(Options):
    """Options of a conversion with one choice per layer; a layer without a choice stays plain."""

    by_name: Mapping[str, LayerChoice] = field(default_factory=dict)

    def choice(self, name: str) -> LayerChoice:
        """Return the choice for a layer."""
        return self.by_name.get(name, self.default)


@dataclass(frozen=True)
class SearchedNetwork:
    """A network to search: its module, the arguments to run it on, and the rules of its conversion."""

    name: str
    module: nn.Module
    args: Sequence[Any]
    stride_rule: str = "C"
    between: str = "none"

    def planned(self, choices: Mapping[str, LayerChoice]) -> tuple[LayerReport, ...]:
        """Return the planned form of each convolution."""
        options = ChosenByName(PLAIN, (), "out", self.stride_rule, self.between, by_name=choices)
        try:
            return plan(self.module, self.args, options, self._refused)
        except DryRunError as error:
            raise error.error from None

    @cached_property
    def _refused(self) -> dict[str, str]:
        """What no conversion of the module changes; the search converts it thousands of times."""
        return refused_before(self.module)


@dataclass(frozen=True)
class Stages:
    """The layers of each stage by title, the convertible layers that belong to no stage, and the flow."""

    names: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...]
    flow: Flow


def stages_of(subject: SearchedNetwork, by: str) -> Stages:
    """Return the layers that a conversion can change, by stage, and how all convolutions feed one another.

    Args:
        subject: The network.
        by: See `costmodel.conversions.grouping.grouped`.

    Raises:
        StagesError: if no layer can be converted.
    """
    flow = flow_of(subject.module, subject.args)
    probed = subject.planned(dict.fromkeys(flow.feeds, PROBE))
    able = [report.name for report in probed if report.spec is not None or _depends(report.reason)]
    if not able:
        why = "; ".join(dict.fromkeys(f"{report.name}: {report.reason}" for report in probed[:3]))
        raise StagesError(
            f"no convolution of {subject.name} can become an octave layer: {why or 'it has none'}"
        )
    names = grouped(by, {name: flow.size[name] for name in flow.feeds if name in {*able}})
    staged = {name for found in names.values() for name in found}
    return Stages(names, tuple(name for name in able if name not in staged), flow)


def _depends(reason: str) -> bool:
    return reason in (ALONE, PASSES_ON) or "neither divide the channels of the branches" in reason


def staged_network(
    subject: SearchedNetwork,
    stages: Stages,
    original: Trace,
    space: StagedSpace,
    progress: Callable[[int, int], None] | None = None,
) -> StagedNetwork:
    """Return a network by stages, with the forms of its layers for all states of a space.

    Args:
        subject: The network.
        stages: Its stages.
        original: The trace of the original network on the same arguments.
        space: The choices of the stages.
        progress: Called with the number of dry runs so far and in total.

    Raises:
        StagesError: if layers depend on so many stages that too many dry runs would be needed.
    """
    groups = list(stages.names.values())
    needs = dependencies(groups, stages.flow.feeds, stages.flow.grouped, stages.others)
    forms: dict[str, Form] = {name: {} for name in needs}
    runs = list(_runs(needs.values(), space))
    for done, states in enumerate(runs):
        if progress is not None:
            progress(done, len(runs))
        _note(forms, needs, subject, groups, states)
    stage_of = {name: stage for stage, names in enumerate(groups) for name in names}
    layers = tuple(
        # A layer without a stage makes no choice: it counts with the last stage that it depends on.
        StagedLayer(name, stage_of.get(name, found[-1]), found, _plain_cost(original, name), forms[name])
        for name, found in needs.items()
        if found
    )
    whole = original.total()
    rest = Cost(weights=whole.params, macs=whole.macs, activations=whole.activations)
    for layer in layers:
        rest = rest - layer.plain
    patterns = tuple(patterns_of(groups, stages.others))
    return StagedNetwork(subject.name, stages.names, layers, rest, patterns)


def _runs(needs: Any, space: StagedSpace) -> Iterator[tuple[StageState, ...]]:
    """Yield states of all stages that contain every combination of the stages a layer depends on."""
    colours = _coloured([set(found) for found in needs], space.stages)
    count = len(space.states) ** (max(colours) + 1)
    if "alpha" not in space.tied and count > MOST_RUNS:
        raise StagesError(
            f"layers depend on {max(colours) + 1} stages at once, which takes {count:,} dry runs of the "
            f"network, more than {MOST_RUNS:,}: give fewer alphas, or tie them (--constraint same-alpha)"
        )
    for states in product(space.states, repeat=max(colours) + 1):
        if space.fits(states):
            yield tuple(states[colour] for colour in colours)


def _coloured(together: Sequence[set[int]], stages: int) -> list[int]:
    """Colour the stages so that stages on which a layer depends jointly have different colours."""
    colours: list[int] = []
    for stage in range(stages):
        taken = {colours[other] for found in together if stage in found for other in found if other < stage}
        colours.append(next(colour for colour in range(stages) if colour not in taken))
    return colours


def _note(
    forms: Mapping[str, Form],
    needs: Mapping[str, tuple[int, ...]],
    subject: SearchedNetwork,
    groups: Sequence[Sequence[str]],
    states: Sequence[StageState],
) -> None:
    """Run the network once, and record the forms of its layers."""
    choices = {name: _choice_of(state) for state, names in zip(states, groups, strict=True) for name in names}
    for report in subject.planned(choices):
        if report.name in forms:
            key = tuple(states[stage] for stage in needs[report.name])
            forms[report.name][key] = _form(report.spec, subject)


def _choice_of(state: StageState) -> LayerChoice:
    """Return a choice in which every path that may be a bottleneck is one."""
    every = state.alpha > 0 or state.compresses
    return LayerChoice(state.alpha, Fraction(2), PROBE.paths if every else PROBE.paths[1:])


def _form(spec: ConvSpec | None, subject: SearchedNetwork) -> LayerForm | None:
    if spec is None:
        return None
    layer = ConvertedLayer(
        spec.name,
        (len(spec.layout_in.high), len(spec.layout_in.low)),
        (len(spec.layout_out.high), len(spec.layout_out.low)),
        *(spec.kernel, spec.size, spec.stride, spec.dilation, spec.groups, spec.bias, spec.kind),
        stride_rule=subject.stride_rule,
        between=subject.between,
        batch=spec.batch,
    )
    return LayerForm(layer, frozenset(spec.widths))


def _plain_cost(original: Trace, name: str) -> Cost:
    inside = [call.cost for call in original.calls if is_inside(call.module, name)]
    return Cost(
        weights=sum(info.parameters for info in original.modules if is_inside(info.path, name)),
        macs=sum(int(cost.macs) for cost in inside),
        activations=sum(int(cost.activations) for cost in inside),
    )

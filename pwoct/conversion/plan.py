"""The plan of a conversion: a dry run of the network's own code that decides what each convolution becomes.

Pairs flow through the network as they will in the converted one. A convolution whose output reaches no other
octave layer closes its chain of octave layers: its output is a plain map. That is known only after a run, so
the network is run until nothing changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pwoct.branches import Size, strided
from pwoct.channels import hidden_channels
from pwoct.conversion.eligible import CannotConvertError, ConvCall, watched
from pwoct.conversion.layout import BranchLayout
from pwoct.conversion.options import LayerChoice, Options
from pwoct.conversion.others import OtherConvolutions
from pwoct.conversion.report import BLOCKS, DENSE, DEPTHWISE, ConvSpec, LayerReport
from pwoct.conversion.tensor import OctaveTensor, as_pair, merge

RUNS = 8  # a plan that still changes after this many runs is a bug in the rules
NOT_RUN = "it does not run on this input"
STEM = "it is the network's first convolution"
AGAIN = "it runs more than once"
NO_MAP = "its input is not a single batch of feature maps"
PASSES_ON = "it keeps channels apart, and its input is plain"
ALONE = "its input is plain and no octave layer uses its output"


class DryRunError(Exception):
    """The network's code raised `error` in the dry run; `layer` is the last convolution that ran, if any."""

    def __init__(self, layer: str, error: Exception) -> None:
        super().__init__(layer, error)
        self.layer, self.error = layer, error


def plan(
    model: nn.Module, args: Sequence[Any], options: Options, refused: Mapping[str, str]
) -> tuple[LayerReport, ...]:
    """Return the plan for each convolution of a model, in execution order.

    model: The network; run in evaluation mode and without gradients, and left unchanged.
    refused: Reasons why the convolutions of these names can't be replaced.

    Raises:
        DryRunError: if the network's code raises.
    """
    names: dict[str, nn.Conv2d] = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)
    }
    closing: frozenset[str] = frozenset()
    refused = dict(refused)
    for _ in range(RUNS):
        run = _DryRun(options, closing, refused, model)
        _run(model, args, names, run)
        if run.again - refused.keys():
            refused |= dict.fromkeys(run.again, AGAIN)
            continue
        found = frozenset(run.specs) - frozenset(run.used)
        found = frozenset(name for name in found if run.specs[name].kind == DENSE)
        if found <= closing:
            break
        closing |= found
    return _reports(names, run)


def _run(model: nn.Module, args: Sequence[Any], names: Mapping[str, nn.Conv2d], run: _DryRun) -> None:
    with _watching(model, names, run), torch.no_grad(), run.others.watching():
        try:
            model(*args)
        except Exception as error:  # the network's own code runs, and may raise anything
            raise DryRunError(run.order[-1] if run.order else "", error) from error


def _reports(names: Mapping[str, nn.Conv2d], run: _DryRun) -> tuple[LayerReport, ...]:
    reasons = {**run.others.reasons, **run.reasons}
    in_order = dict.fromkeys((*run.ran, *names, *run.others.unused))  # what ran, then what did not
    return tuple(
        LayerReport(name, run.specs[name]) if name in run.specs
        else LayerReport(name, None, reasons.get(name, NOT_RUN))
        for name in in_order
    )  # fmt: skip


def refused_before(model: nn.Module) -> dict[str, str]:
    """Return the names of convolutions that can't be replaced, whatever the input, and why.

    model: The network itself, since layers of a copy may no longer share weights.
    """
    owners = Counter(
        id(p) for module in model.modules() for p in set(module._parameters.values()) if p is not None
    )
    shared = {parameter for parameter, count in owners.items() if count > 1}
    found: dict[str, str] = {}
    for name, conv in model.named_modules():
        if not isinstance(conv, nn.Conv2d):
            continue
        if not name:
            found[name] = "the network consists only of this convolution"
        elif conv._forward_hooks or conv._forward_pre_hooks or conv._backward_hooks:
            found[name] = "it has hooks"
        elif "forward" in vars(conv):
            found[name] = "its forward is not that of its class"
        elif any(id(p) in shared for p in conv.parameters()):
            found[name] = "its weight is shared with another layer"
    return found


@dataclass
class _DryRun:
    """One dry run: the knowledge before it, and its findings."""

    options: Options
    closing: frozenset[str]
    refused: Mapping[str, str]
    model: InitVar[nn.Module]
    specs: dict[str, ConvSpec] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)  # `order` with the convolutions that can't be replaced
    used: set[str] = field(default_factory=set)  # octave layers whose output reaches another one
    again: set[str] = field(default_factory=set)
    others: OtherConvolutions = field(init=False)

    def __post_init__(self, model: nn.Module) -> None:
        self.others = OtherConvolutions(model, self.ran.append)

    def convolve(self, name: str, conv: nn.Conv2d, *args: Any, **kwargs: Any) -> Any:
        """Do on shapes alone, in the dry run, what a convolution will do."""
        if name in self.order:
            self.again.add(name)
        else:
            self.order.append(name)
            self.ran.append(name)
        with self.others.inside():
            return self._convolve(name, conv, *args, **kwargs)

    def _convolve(self, name: str, conv: nn.Conv2d, *args: Any, **kwargs: Any) -> Any:
        own = partial(type(conv).forward, conv)
        given = [*args, *kwargs.values()] if kwargs.keys() <= {"input"} else []
        x = given[0] if len(given) == 1 else None
        if not isinstance(x, OctaveTensor | Tensor) or x.dim() != 4:
            self.reasons[name] = NO_MAP
            return own(*merge(args), **merge(kwargs))
        plain = merge(x)
        y, call = watched(conv, own, plain)
        choice = self.options.choice(name)
        try:
            spec = self._spec(name, choice, call, as_pair(x), y.shape[1])
        except CannotConvertError as why:
            self.reasons[name] = str(why)
            return y
        return self._output(spec, as_pair(x), y, choice)

    def _spec(
        self, name: str, choice: LayerChoice, call: ConvCall | str, x: OctaveTensor, c_out: int
    ) -> ConvSpec:
        if name in self.refused:
            raise CannotConvertError(self.refused[name])
        if choice.plain:
            raise CannotConvertError("it was chosen to stay plain")
        if len(self.order) == 1:
            raise CannotConvertError(STEM)
        if isinstance(call, str):
            raise CannotConvertError(call)
        closes = name in self.closing
        given: dict[str, Any] = {
            "name": name, "layout_in": _arriving(x), "kernel": call.kernel, "stride": call.stride,
            "dilation": call.dilation, "groups": call.groups, "bias": call.bias, "same": call.same,
            "size": tuple(map(int, x.map_size)), "batch": int(x.shape[0]),
        }  # fmt: skip
        if _is_depthwise(call, x, c_out):
            return ConvSpec(**given, layout_out=_depthwise(x.channels_of, c_out), kind=DEPTHWISE)
        low = BranchLayout.split(c_out, 0 if closes else choice.alpha)
        if call.groups > 1 and not _divides(call.groups, given["layout_in"], low):
            return ConvSpec(**given, layout_out=_whole_groups(call.groups, x.channels_of, c_out), kind=BLOCKS)
        widths = self._widths(choice, call, x, low) if x.origins and not closes else {}
        return ConvSpec(**given, layout_out=low, widths=widths, closes=closes)

    def _widths(
        self, choice: LayerChoice, call: ConvCall, x: OctaveTensor, out: BranchLayout
    ) -> dict[str, int]:
        """Return the hidden channels of compressed paths: of dense kxk convolutions between octave layers."""
        if call.kernel == (1, 1) or call.groups > 1:
            return {}
        ends_in = {"H": len(x.channels_of.high), "L": len(x.channels_of.low)}
        ends_out = {"H": len(out.high), "L": len(out.low)}
        return {
            path: hidden_channels(ends_in[path[0]], ends_out[path[1]], choice.beta, self.options.width_rule)
            for path in choice.paths
            if ends_in[path[0]] and ends_out[path[1]]
        }

    def _pools(self, spec: ConvSpec, x: OctaveTensor, choice: LayerChoice) -> bool:
        """Whether a layer without a low branch strides by pooling, as the octave layers around it do."""
        in_a_row = bool(x.origins) and choice.changes
        return in_a_row and spec.kind == DENSE and spec.stride > 1 and self.options.stride_rule != "C"

    def _output(self, spec: ConvSpec, x: OctaveTensor, y: Tensor, choice: LayerChoice) -> OctaveTensor:
        name, size = spec.name, strided(x.map_size, spec.stride)
        if spec.kind == DENSE:
            self.used |= x.origins
        has_low = not (spec.layout_in.is_plain and spec.layout_out.is_plain)
        is_octave = has_low or bool(spec.widths) or self._pools(spec, x, choice)
        if is_octave:
            self.specs[name] = spec
        else:
            self.reasons[name] = _why_plain(spec, choice)
        origins = frozenset((name,)) if spec.kind == DENSE else x.origins
        high, low = spec.layout_out.high, spec.layout_out.low
        return OctaveTensor(
            y[:, : len(high)] if high else None,
            _low_of(y, len(low), size) if low else None,
            spec.layout_out,
            size,
            origins if choice.changes else frozenset(),
            closes=spec.closes and is_octave,
        )


def _arriving(x: OctaveTensor) -> BranchLayout:
    """Return the layout that a layer is built for; without a low branch, that of a plain map."""
    return x.channels_of if x.low is not None else BranchLayout.plain(x.shape[1])


def _why_plain(spec: ConvSpec, choice: LayerChoice) -> str:
    if not choice.changes:
        return "alpha is 0, and no path is compressed"
    return ALONE if spec.kind == DENSE else PASSES_ON


def _low_of(y: Tensor, channels: int, size: Size) -> Tensor:
    return y.new_zeros((y.shape[0], channels, *strided(size, 2)))


def _is_depthwise(call: ConvCall, x: OctaveTensor, c_out: int) -> bool:
    c_in = x.shape[1]
    return call.groups == c_in > 1 and c_out % c_in == 0


def _depthwise(layout: BranchLayout, c_out: int) -> BranchLayout:
    """Return the output layout of a depthwise convolution: each channel stays in its branch."""
    return layout.repeated(c_out // layout.channels)


def _divides(groups: int, layout_in: BranchLayout, layout_out: BranchLayout) -> bool:
    """Whether every path can have as many groups as the convolution."""
    branches = (layout_in.high, layout_in.low, layout_out.high, layout_out.low)
    return all(len(branch) % groups == 0 for branch in branches)


def _whole_groups(groups: int, layout: BranchLayout, c_out: int) -> BranchLayout:
    """Return the output layout of groups that each lie in one branch, whole and in order, and stay there."""
    size, wide = layout.channels // groups, c_out // groups
    for branch in (layout.high, layout.low):
        whole = [branch[k : k + size] for k in range(0, len(branch), size)]
        if any(part != tuple(range(part[0], part[0] + size)) or part[0] % size for part in whole):
            raise CannotConvertError(
                f"its {groups} groups neither divide the channels of the branches nor lie in them whole: "
                f"{len(layout.high)} high and {len(layout.low)} low channels"
            )
    first = [[branch[k] // size for k in range(0, len(branch), size)] for branch in (layout.high, layout.low)]
    high, low = (tuple(g * wide + k for g in of for k in range(wide)) for of in first)
    return BranchLayout(high, low)


@contextmanager
def _watching(model: nn.Module, names: Mapping[str, nn.Conv2d], run: _DryRun) -> Iterator[None]:
    """Let convolutions take part in a dry run: their `forward` is replaced while it lasts."""
    modes = {module: module.training for module in model.modules()}
    own = {conv: vars(conv)["forward"] for conv in names.values() if "forward" in vars(conv)}
    model.eval()
    for name, conv in names.items():
        vars(conv)["forward"] = partial(run.convolve, name, conv)
    try:
        yield
    finally:
        for conv in names.values():
            del vars(conv)["forward"]
        for conv, forward in own.items():
            vars(conv)["forward"] = forward
        for module, mode in modes.items():
            module.training = mode


__all__ = ["DryRunError", "plan", "refused_before"]

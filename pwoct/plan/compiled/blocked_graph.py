"""The plan "blocked" for networks other than a `ResNet`: training steps of a recorded graph."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pwoct.conversion.checks import check_module
from pwoct.plan.compiled.blocked import track, why_no_batch
from pwoct.plan.compiled.emit_training import TrainingEmitter
from pwoct.plan.compiled.filters import NEEDS
from pwoct.plan.compiled.graph_tape import GraphTape
from pwoct.plan.compiled.layout import Layout, layout_of
from pwoct.plan.compiled.library import why_not
from pwoct.plan.compiled.operations import Map, Size
from pwoct.plan.compiled.training import SIZES, Features, Pass, TrainingStep
from pwoct.plan.graph.nodes import Convolve, MapNode, needed
from pwoct.plan.graph.trace import image_channels, record_training
from pwoct.plan.lean.converted import LeanConverted, why_not_converted
from pwoct.plan.shared.known import PlanError, reason_of
from pwoct.plan.shared.latest import Latest
from pwoct.plan.shared.tracing import check_untraced

# Size and channels of the images, whether they need a gradient, and whether maps are rounded to bfloat16.
Key = tuple[Size, int, bool, bool]
WIDE = 128  # channels
MOST_TAPS = 9


class BlockedGraph(nn.Module):
    """A network of any kind computed by the plan "blocked"; it has the same children, so the same state dict.

    x: (n, channels, h, w) on the CPU, where n is a multiple of the images per block; see `BlockedNetwork`.
    Returns what the network returns. Evaluation uses the plan "lean", or the network itself. Whatever is
    changed in the network between steps is recorded again.

    Raises:
        ValueError: in training, if the kernels do not run here, or there is none for an operator.
        RuntimeError: in training, if something traces the operators, such as torch.compile or torch.func.
    """

    PLAN = "blocked"

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        check_module(model)
        self._modules, self._parameters, self._buffers = model._modules, model._parameters, model._buffers
        lean = model if why_not_converted(model) else LeanConverted(model)
        self.__dict__.update(model=model, lean=lean)  # no children: names of parameters would change
        self.training = model.training
        self._layout: Layout | None = None
        self._recorded: Latest[Key, tuple[TrainingStep, GraphTape, torch.Size]] = Latest(SIZES)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that a copy needs; the copy records its own steps."""
        return {**self.__dict__, "_layout": None}

    def train(self, mode: bool = True) -> BlockedGraph:
        """Set the mode of the network too."""
        self.__dict__["model"].training = mode
        super().train(mode)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Compute images (n, channels, h, w)."""
        norms = {norm.training for norm in self.modules() if isinstance(norm, _BatchNorm)}
        if not self.training and norms <= {False}:
            return self.__dict__["lean"](x)  # type: ignore[no-any-return]
        model: nn.Module = self.__dict__["model"]
        check_untraced(self.PLAN, x, *model.parameters())
        if reason := why_no_step(model, len(x)):
            raise ValueError(f"{reason}; {instead(model)}")
        if x.dim() != 4 or x.device.type != "cpu":
            raise ValueError(f"{NEEDS} images (n, channels, h, w) on the CPU, got {tuple(x.shape)}")
        try:
            step, tape, shape = self._step(model, x)
        except ValueError as error:
            raise ValueError(f"{error}; {instead(model)}") from error
        passes: list[Pass] = []
        y: Tensor = Features.apply(step, passes, x, *tape.parameters)  # type: ignore[no-untyped-call]
        track(tape, passes[0].moments, len(x))
        if not y.requires_grad:
            step.release(passes[0])
        return y.reshape(len(x), *shape)

    def _step(self, model: nn.Module, x: Tensor) -> tuple[TrainingStep, GraphTape, torch.Size]:
        dtype = next(model.parameters()).dtype
        casts = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        rounds = casts and dtype == torch.float32 and why_not(torch.bfloat16) is None
        layout = layout_of(model)
        if layout != self._layout:
            self._recorded.clear()
            self._layout = layout
        channels, size, to_images = x.shape[1], (x.shape[2], x.shape[3]), x.requires_grad

        def recorded() -> tuple[TrainingStep, GraphTape, torch.Size]:
            tape, images, result, shape = record_step(model, channels, size, rounds)
            return TrainingStep(tape, images, result, to_images=to_images, dtype=dtype), tape, shape

        return self._recorded.get((size, channels, to_images, rounds), recorded)


@torch.no_grad()
def record_step(
    model: nn.Module, channels: int, size: Size, rounds: bool = False
) -> tuple[GraphTape, Map, Map, torch.Size]:
    """Return a network recorded for training, the maps of images and result, and the result's shape.

    Raises:
        ValueError: if there is no kernel for one of its operators.
    """
    try:
        return _recorded(model, channels, size, rounds)[1:]
    except ValueError as error:
        raise PlanError("blocked", str(error)) from error


def _recorded(
    model: nn.Module, channels: int, size: Size, rounds: bool = False
) -> tuple[MapNode, GraphTape, Map, Map, torch.Size]:
    graph, kept = record_training(model, channels, size)
    tape, images = GraphTape(rounds), Map(channels, *size)
    return graph.result, tape, images, TrainingEmitter(tape, images, graph.result, kept).run(), graph.shape


@torch.no_grad()
def is_narrow(model: nn.Module, channels: int, size: Size) -> bool:
    """Whether the kernels train a network, and faster than the library, as they do in narrow layers.

    Layers of more than 128 channels in and out may do a third of the MACs; no dense filter has more than 9
    taps.
    """
    try:
        graph, *_ = _recorded(copy.deepcopy(model).train(), channels, size)
    except ValueError:
        return False
    layers = [node for node in needed(graph) if isinstance(node, Convolve)]
    work = {node: node.weight.numel() * node.size[0] * node.size[1] for node in layers}
    wide = sum(macs for node, macs in work.items() if min(node.weight.shape[:2]) > WIDE)
    most_taps = max((node.weight[0, 0].numel() for node in layers if node.is_dense), default=0)
    return most_taps <= MOST_TAPS and 3 * wide <= sum(work.values())


def why_no_step(model: nn.Module, images: int, size: Size | None = None) -> str | None:
    """Return why a network that is no `ResNet` cannot be trained by this plan, or None if it can.

    images: in a batch. size: of the images; if it is given, the network is recorded.
    """
    reason = why_no_batch(model, images)
    if reason is not None or size is None:
        return reason
    try:
        record_step(copy.deepcopy(model).train(), image_channels(model), size)
    except ValueError as error:
        return reason_of(error)
    return None


def instead(model: nn.Module) -> str:
    """Say which plan computes a network that this one does not."""
    return f'use the plan "{"reference" if why_not_converted(model) else "lean"}"'

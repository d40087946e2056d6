"""The plan "native": a trained network for inference, computed by this package's kernels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pwoct.plan.compiled.emit import Emitter
from pwoct.plan.compiled.general import GeneralRecorder
from pwoct.plan.compiled.library import why_not
from pwoct.plan.compiled.operations import Map, Size
from pwoct.plan.compiled.program import Program
from pwoct.plan.folded.fold import why_not_folded
from pwoct.plan.graph.fold import folded
from pwoct.plan.graph.trace import image_channels, record_network, why_not_recorded
from pwoct.plan.lean.converted import is_own_network, why_not_converted
from pwoct.plan.shared.known import PlanError, refusal
from pwoct.plan.shared.snapshot import Snapshot
from pwoct.plan.shared.tracing import check_untraced


class NativeNetwork(Snapshot):
    """A snapshot of a network for images of one size, in compiled kernels; no parameters or gradients.

    x: (n, channels, h, w) of any floating type, on the CPU. Returns what the network returns in evaluation
    mode, such as logits (n, classes), in `dtype`. Images are computed in blocks of as many images as a
    vector has floats, 4, 8 or 16: batches should be multiples of that.

    Args:
        model: a `ResNet`, a network that `pwoct.convert` made, or any other module of one input and one
            output; its weights and statistics are copied.
        size: (h, w) of the images.
        dtype: float32, float64 or bfloat16.
        channels: of the images; by default those of the network's first convolution.

    Raises:
        ValueError: if the kernels cannot compute in `dtype` here, or if an operator has no kernel.
        RuntimeError: if something traces the operators, such as torch.compile or torch.func.
    """

    PLAN = "native"

    @torch.no_grad()
    def __init__(
        self,
        model: nn.Module,
        size: Size,
        dtype: torch.dtype = torch.float32,
        channels: int | None = None,
    ) -> None:
        super().__init__(model, size, dtype)
        if reason := why_not(dtype):
            raise ValueError(f'the plan "native" does not run here: {reason}')
        if reason := why_not_taken(model):
            raise _refusal(model, reason)
        try:
            self.shape, recorder, images, result = _recorded(model, self.size, dtype, channels)
        except ValueError as error:
            raise _refusal(model, str(error)) from error
        self.program = Program(recorder, images, result)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Compute images (n, channels, h, w)."""
        check_untraced("native", x)
        wanted = (self.program.images.channels, *self.size)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError(
                f"this network was made for images (n, {', '.join(map(str, wanted))}), got {tuple(x.shape)}"
            )
        if x.device.type != "cpu":
            raise ValueError(f"this network computes on the CPU, got images on {x.device}")
        return self.program(x).reshape(len(x), *self.shape)


def why_not_native(
    model: nn.Module, dtype: torch.dtype, size: Size = (32, 32), channels: int | None = None
) -> str | None:
    """Return why a network cannot be computed by this plan in `dtype` on this machine, or None if it can.

    size, channels: of the images, as for `NativeNetwork`.
    """
    if reason := why_not_taken(model) or why_not(dtype):
        return reason
    if is_own_network(model) and not any(isinstance(m, nn.Conv2d) and m.groups > 1 for m in model.modules()):
        return None  # all of its operators have kernels
    try:
        _recorded(model, size, dtype, channels)
    except ValueError as error:
        return str(error)
    return None


def why_not_taken(model: nn.Module) -> str | None:
    """Return why a network is refused before it is recorded, or None."""
    return why_not_folded(model) if is_own_network(model) else why_not_recorded(model)


def _recorded(
    model: nn.Module, size: Size, dtype: torch.dtype, channels: int | None
) -> tuple[torch.Size, GeneralRecorder, Map, Map]:
    """Return the shape of a network's result for one image, its operations, and the first and last map."""
    images = Map(image_channels(model) if channels is None else channels, *size)
    with torch.no_grad():
        graph = record_network(model, images.channels, size)
        recorder = GeneralRecorder(dtype)
        return graph.shape, recorder, images, Emitter(recorder, images, folded(graph.result, _merges)).run()


def _refusal(model: nn.Module, reason: str) -> PlanError:
    """Return the error for a network that is refused; it names a plan that computes it."""
    if is_own_network(model):
        return refusal("native", model, reason)
    return PlanError("native", reason, "reference" if why_not_converted(model) else "lean")


def _merges(c_in: int, hidden: int, c_out: int, kernel: Size) -> bool:
    """Whether 1x1, kxk, 1x1 are merged into one kxk: decided by MACs, plus half for the maps in between."""
    k = kernel[0] * kernel[1]
    return 2 * k * c_in * c_out <= 3 * hidden * (c_in + k * hidden + c_out)

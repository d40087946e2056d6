"""A network as a graph: its own code runs twice, on different numbers of images without content."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import pwoct.plan.graph.arithmetic
import pwoct.plan.graph.moving
import pwoct.plan.graph.pooling
import pwoct.plan.graph.rules  # noqa: F401 -- they register themselves
from pwoct.conversion import Conversion, merges_output
from pwoct.plan.graph.draws import draws_here
from pwoct.plan.graph.nodes import BatchNormalise, ImageNode, MapNode, is_same, needed
from pwoct.plan.graph.record import GraphTrace
from pwoct.plan.graph.values import RefusedError
from pwoct.plan.shared.known import is_changed

Size = tuple[int, int]
# The numbers of images with which a network is recorded: one alone would not show what joins images, nor a
# branch in its code on their number. A normalisation in training needs more than one.
IN_EVALUATION, IN_TRAINING = (2, 1), (2, 3)


class Graph(NamedTuple):
    """A recorded network: the images, its result, and the result's shape for one image."""

    images: ImageNode
    result: MapNode
    shape: torch.Size


class Kept:
    """The parameters and buffers of a network, whose elements are numbered one tensor behind the other."""

    def __init__(self, model: nn.Module) -> None:
        self.tensors: list[Tensor] = []
        self._norms: list[nn.BatchNorm2d | None] = []
        seen: set[int] = set()
        for module in model.modules():
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                if tensor.is_floating_point() and id(tensor) not in seen:
                    seen.add(id(tensor))
                    self.tensors.append(tensor)
                    self._norms.append(module if isinstance(module, nn.BatchNorm2d) else None)

    def tensor(self, place: int) -> tuple[Tensor, int]:
        """Return the tensor that holds an element, and the element's place in it."""
        return self.tensors[self._index(place)[0]], self._index(place)[1]

    def norm(self, place: int) -> tuple[nn.BatchNorm2d, int]:
        """Return the normalisation that holds an element, and the element's place in its statistics.

        Raises:
            ValueError: if it is no `BatchNorm2d` with a momentum.
        """
        index, begin = self._index(place)
        norm = self._norms[index]
        if norm is None or norm.momentum is None:
            raise ValueError(
                "the network has running statistics other than those of BatchNorm2d with momentum"
            )
        return norm, begin

    def _index(self, place: int) -> tuple[int, int]:
        for index, tensor in enumerate(self.tensors):
            if place < tensor.numel():
                return index, place
            place -= tensor.numel()
        raise IndexError(place)


def record_network(model: nn.Module, channels: int, size: Size) -> Graph:
    """Return what a network in evaluation mode computes of images (n, channels, h, w), in float64.

    Raises:
        ValueError: if something in it cannot be recorded; the message names the module and the operator.
    """
    copied = _copied(model).eval().double()
    graphs = [_record(copied, GraphTrace(images), channels, size) for images in IN_EVALUATION]
    return _agreed(graphs)


def record_training(model: nn.Module, channels: int, size: Size) -> tuple[Graph, Kept]:
    """Return what a network computes in training, and what it keeps: weights are places among that.

    Raises:
        ValueError: as for `record_network`.
    """
    graphs = []
    for images in IN_TRAINING:
        copied = _copied(model)
        recorder = GraphTrace(images, in_training=True)
        recorder.keep(Kept(copied).tensors)
        graphs.append(_record(copied, recorder, channels, size))
        _check_statistics(recorder.maps.nodes, graphs[-1].result)
    return _agreed(graphs), Kept(model)


def _check_statistics(nodes: Sequence[MapNode], result: MapNode) -> None:
    """Check that the result depends on all normalisations: the statistics of others would not be updated."""
    read = set(needed(result))
    for node in nodes:
        if isinstance(node, BatchNormalise) and node.mean is not None and node not in read:
            raise ValueError(f"the result does not depend on {node.where}, which updates its statistics")


def _agreed(graphs: Sequence[Graph]) -> Graph:
    """Return the first graph; a graph that depends on the number of images, or on the pass, is refused."""
    first, *others = graphs
    if any(other.shape != first.shape or not is_same(other.result, first.result) for other in others):
        raise ValueError("the network does not compute the same for any number of images, or in every pass")
    return first


def _copied(model: nn.Module) -> nn.Module:
    if reason := why_not_recorded(model):
        raise ValueError(reason)
    return copy.deepcopy(model).cpu()


def _record(copied: nn.Module, recorder: GraphTrace, channels: int, size: Size) -> Graph:
    _follow(copied, recorder)
    dtype = next((p.dtype for p in copied.parameters()), torch.float64)
    x = torch.empty((recorder.maps.images, channels, *size), dtype=dtype, device="cpu")
    drawn = torch.get_rng_state(), random.getstate()
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            images = recorder.begin(x)
            with recorder:
                y = copied(x)
            graph = Graph(images, *_result(recorder, y))
    except RefusedError as error:
        where = recorder.where[-1]
        raise ValueError(f"{where or 'the network'} has {error}") from error
    except Exception as error:  # the network's own code runs, and raises anything
        line = (str(error).splitlines() or [""])[0]
        raise ValueError(
            f"{recorder.where[-1] or 'the network'} does not run on images of "
            f"{channels}x{size[0]}x{size[1]}: {type(error).__name__}: {line}"
        ) from error
    # A worker of a cluster has threads that draw too: what they drew is neither the network's nor taken back.
    from_torch = not torch.equal(drawn[0], torch.get_rng_state())
    if from_torch or (drawn[1] != random.getstate() and draws_here(copy.deepcopy(copied), x)):
        torch.set_rng_state(drawn[0])
        random.setstate(drawn[1])
        raise ValueError("the network draws random numbers")
    return graph


def why_not_recorded(model: nn.Module) -> str | None:
    """Return why no network of this kind can be recorded, before it runs, or None."""
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            return f"{name or 'the network'} is compiled by torch.jit"
        if is_changed(module) and not merges_output(module):
            return f"{name or 'the network'} has hooks or its own forward"
    if any(p.is_meta for p in model.parameters()):
        return "the network has parameters without data"
    return None


def image_channels(model: nn.Module) -> int:
    """Return the channels of a network's images, taken for those of its first convolution.

    Raises:
        ValueError: if it has none.
    """
    if isinstance(conversion := getattr(model, "conversion", None), Conversion) and conversion.inputs:
        return conversion.inputs[0][1]
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    raise ValueError(f"{type(model).__name__} has no convolution")


def _follow(model: nn.Module, recorder: GraphTrace) -> None:
    """Keep the names of the modules that run in the recorder."""
    for name, module in model.named_modules():

        def enter(_module: nn.Module, _args: Any, name: str = name) -> None:
            recorder.where.append(name)

        def leave(_module: nn.Module, _args: Any, _output: Any) -> None:
            recorder.where.pop()

        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)


def _result(recorder: GraphTrace, y: Any) -> tuple[MapNode, torch.Size]:
    if not isinstance(y, Tensor) or not recorder.holds(y) or len(y) != recorder.maps.images:
        raise RefusedError(f"an output that is not one tensor of all images: {type(y).__name__}")
    return recorder.node(y), y.shape[1:]

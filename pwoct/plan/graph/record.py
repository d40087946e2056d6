"""Records the operators that run in a network, as a graph of operations on feature maps.

The network's own code runs, on images without content. Whatever is written in it, classes and functions of
any library, comes down to a few of PyTorch's operators (`rules`, `arithmetic`, `moving`). Each that reads a
feature map is recorded; every other one is computed, since it depends on weights alone. An operator without a
rule is refused by its name and that of the module in which it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from pwoct.plan.graph.nodes import ImageNode, MapNode, Shape
from pwoct.plan.graph.values import KEPT, Numbered, RefusedError

F = TypeVar("F", bound=Callable[..., Any])
RULES: dict[str, Callable[..., Any]] = {}  # by the names of operators


def rule(*names: str) -> Callable[[F], F]:
    """Register what an operator records. A rule gets the recorder and the operator's arguments.

    It returns the node, and the shape of the operator's result.
    """

    def register(f: F) -> F:
        RULES.update(dict.fromkeys(names, f))
        return f

    return register


class GraphTrace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records operators while it is active.

    Attributes:
        maps: all maps so far.
        where: the names of the modules that run, the innermost last.
    """

    def __init__(self, images: int, *, in_training: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.in_training = in_training
        self.maps = Numbered(images)
        self.where: list[str] = [""]
        self._held: Any = WeakTensorKeyDictionary()  # for each tensor, its node or its numbers

    def begin(self, x: Tensor) -> ImageNode:
        """Take a tensor for the images."""
        node = ImageNode((x.shape[1], x.shape[2], x.shape[3]))
        self._held[x] = self.maps.add(node)
        return node

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Record an operator that reads a map; compute any other."""
        given = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise RefusedError(f"the operator {func.overloadpacket.__name__}, which draws random numbers")
        if not any(self.holds(x) for x in tree_leaves((args, given))):
            return func(*args, **given)
        name = func.overloadpacket.__name__
        is_in_place = name.endswith("_") and name[:-1] in RULES
        found = RULES.get(name[:-1] if is_in_place else name)
        if found is None or (func._schema.is_mutable and not is_in_place):
            raise RefusedError(f"the operator {name} of a feature map")
        if is_in_place:
            self._check_alone(args[0])
        result = found(self, *args, **({"func": func} if "func" in found.__annotations__ else {}), **given)
        if is_in_place:
            node, shape = result
            if not self.holds(args[0]) or shape != args[0].shape:
                raise RefusedError(f"the operator {name}, which writes a feature map to another tensor")
            self._held[args[0]] = node
            return args[0]
        return self._held_by(result, args[0])

    def keep(self, tensors: Iterable[Tensor]) -> None:
        """Number the elements of parameters and buffers, one tensor behind the other."""
        first = KEPT
        for tensor in tensors:
            numbers = torch.arange(first, first + tensor.numel(), device="cpu")
            self._held[tensor] = numbers.view(tensor.shape)
            first += tensor.numel()

    def kept(self, x: Tensor, what: str = "weight") -> Tensor:
        """Return a weight, or in a graph for training its places among what the network keeps.

        Raises:
            RefusedError: if it is computed: from images, or in training from anything.
        """
        if not self.holds(x):
            if self.in_training:
                raise RefusedError(f"a {what} that is computed")
            return x.detach()
        held = self._held[x]
        if isinstance(held, MapNode) or bool((held < KEPT).any()):
            raise RefusedError(f"a {what} that depends on the images")
        places: Tensor = held - KEPT
        return places

    def first(self, x: Tensor, what: str) -> int:
        """Return the place of the first number of a vector that is kept as a whole."""
        places = self.kept(x, what)
        expected = torch.arange(int(places[0]), int(places[0]) + len(places), device="cpu")
        if not torch.equal(places, expected):
            raise RefusedError(f"a {what} in another order than it is kept")
        return int(places[0])

    def holds(self, x: Any) -> bool:
        """Whether a tensor holds elements of maps."""
        return isinstance(x, Tensor) and x in self._held

    def hold(self, x: Tensor, numbers: Tensor) -> None:
        """Note what a tensor holds."""
        self._held[x] = numbers

    def numbers(self, x: Tensor) -> Tensor:
        """Return the numbers of what a tensor holds; a constant tensor must have one value."""
        if not self.holds(x):
            values = torch.unique(x)
            if len(values) > 1:
                raise RefusedError("numbers that differ by pixel beside a feature map")
            number = self.maps.constant(float(values[0])) if len(values) else 0
            return torch.full_like(x, number, dtype=torch.int64)
        held = self._held[x]
        numbers: Tensor = self.maps.of_node(held, x.shape) if isinstance(held, MapNode) else held
        return numbers

    def node(self, x: Tensor, shape: Shape | None = None) -> MapNode:
        """Return what a tensor holds as a map, by default of the tensor's shape."""
        held = self._held[x]
        wanted = map_shape(x) if shape is None else shape
        if isinstance(held, MapNode) and held.shape == wanted:
            return held
        if not isinstance(held, MapNode) and bool((held >= KEPT).any()):
            raise RefusedError("a parameter beside a feature map")
        if len(x) != self.maps.images:
            raise RefusedError("it joins different images of a batch")
        return self.maps.node(self.numbers(x).reshape(len(x), *wanted), self.where[-1])

    def add(self, node: MapNode) -> MapNode:
        """Record a node."""
        node.where = self.where[-1]
        return self.maps.add(node)

    def _held_by(self, result: Any, like: Any) -> Any:
        """Return the result of an operator: tensors without content, or those that a rule has made."""
        if not (isinstance(result, tuple) and isinstance(result[0], MapNode)):
            return result
        node, shape, *others = result
        y = torch.empty(shape, dtype=like.dtype if isinstance(like, Tensor) else torch.get_default_dtype())
        self._held[y] = node
        return (y, *others) if others else y

    def _check_alone(self, x: Tensor) -> None:
        """Check that no other tensor shares memory with one that is written to."""
        place = x.untyped_storage().data_ptr()
        for other in list(self._held):
            if other is not x and other.untyped_storage().data_ptr() == place and x.numel():
                raise RefusedError("writing to a part or a view of a feature map")


def map_shape(x: Tensor) -> Shape:
    """Return the shape of a map for a tensor (n, ...).

    Missing sizes are 1; of more than three, all but the last two are channels.
    """
    sizes = [*x.shape[1:]]
    if len(sizes) > 3:
        sizes = [prod(sizes[:-2]), *sizes[-2:]]
    sizes += [1] * (3 - len(sizes))
    return sizes[0], sizes[1], sizes[2]

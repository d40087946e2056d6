"""`costmodel.layer`: the cost of one layer, as numbers, as formulas, and path by path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from costmodel.convention import Cost
from costmodel.networks.stages import path_set
from costmodel.operators.layer import Layer, layer_notes, path_formulas
from costmodel.operators.registry import layer_cost, operator
from costmodel.public.rows import Rows
from costmodel.rounding import RatioLike, check_alpha, check_beta
from costmodel.sizes import pair, plain
from costmodel.tables.counting import Totals
from costmodel.tables.layer import layer_table


@dataclass(frozen=True)
class CostedLayer:
    """A layer of one kind. Made by `costmodel.layer`."""

    op: str
    sizes: Layer

    def cost(self) -> Cost:
        """Return the cost of the layer, in exact integers."""
        return layer_cost(self.op, self.sizes)

    def formula(self) -> dict[str, Cost]:
        """Return the cost as formulas: of each path, or of the operator if it has no branches."""
        entry = operator(self.op)
        return path_formulas(self.sizes) if entry.has_branches else dict(entry.formulas())

    def per_path(self) -> Rows:
        """Return one row per path, their sum, and the standard convolution of the same sizes."""
        return Rows.of(layer_table(self.sizes, Totals()))

    def notes(self) -> list[str]:
        """Return one note for each size that the rounding rule changed."""
        return layer_notes(self.sizes)


def layer(
    op: str | None = None,
    *,
    c_in: int = 16,
    c_out: int = 16,
    size: int | Iterable[int] = 32,
    kernel: int | Iterable[int] = 3,
    stride: int = 1,
    padding: int | Iterable[int] | None = None,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = False,
    alpha: RatioLike = 0,
    alpha_in: RatioLike | None = None,
    alpha_out: RatioLike | None = None,
    beta: RatioLike = 2,
    paths: Iterable[str] = (),
    width_rule: str = "out",
    stride_rule: str = "C",
    between: str = "none",
    batch: int = 1,
) -> CostedLayer:
    """Return a layer to be costed; `size` is the input's (h, w).

    Without `op`, the choices decide: pwise if there are paths, octave if there is an alpha, else standard.
    Raises ValueError if a value is out of range or the kind of layer cannot have these sizes.

    >>> layer(alpha="1/4").cost().macs
    1585152
    >>> layer(alpha="1/4", paths=["LL"]).formula()["LL"].formula("params")
    'm*(2*c_L + k**2*m)'
    """
    compressed = path_set(paths)
    ends = [alpha if end is None else end for end in (alpha_in, alpha_out)]
    one, two = (check_alpha(end, name) for end, name in zip(ends, ("alpha_in", "alpha_out"), strict=True))
    sizes = Layer(
        plain(c_in),
        plain(c_out),
        pair(size),
        pair(kernel),
        plain(stride),
        None if padding is None else pair(padding),
        plain(dilation),
        plain(groups),
        bias,
        one,
        two,
        check_beta(beta),
        compressed,
        width_rule,
        stride_rule,
        between,
        plain(batch),
    )
    made = CostedLayer(op or ("pwise" if compressed else "octave" if one or two else "standard"), sizes)
    made.cost()  # refuses what does not exist
    return made

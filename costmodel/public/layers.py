"""`costmodel.layer`: the cost of one layer, as numbers, as formulas, and path by path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from costmodel.convention import Cost
from costmodel.networks.stages import path_set
from costmodel.operators.layer import Layer, layer_notes, path_formulas, uncompressed_note
from costmodel.operators.octave import STRIDE_RULES
from costmodel.operators.pwise_octave import BETWEEN
from costmodel.operators.registry import BRANCH_OPTIONS, costed_kinds, layer_cost, operator
from costmodel.operators.spatial import SPATIAL_KINDS, SpatialLayer
from costmodel.public.rows import Rows
from costmodel.public.shapes import Lengths, shape_of, sized
from costmodel.rounding import WIDTH_RULES, RatioLike, check_alpha, check_beta
from costmodel.sizes import check_choice, plain
from costmodel.tables.counting import Totals
from costmodel.tables.layer import layer_table


@dataclass(frozen=True)
class CostedLayer:
    """A layer of one kind. Made by `costmodel.layer`."""

    op: str
    sizes: Layer | SpatialLayer

    def cost(self) -> Cost:
        """Return the cost of the layer, in exact integers."""
        if isinstance(self.sizes, SpatialLayer):
            return SPATIAL_KINDS[self.op](self.sizes)
        return layer_cost(self.op, self.sizes)

    @property
    def has_branches(self) -> bool:
        """Whether it is an octave layer, with bottlenecks or without."""
        return self._octave is not None

    @property
    def _octave(self) -> Layer | None:
        return self.sizes if isinstance(self.sizes, Layer) and operator(self.op).has_branches else None

    def formula(self) -> dict[str, Cost]:
        """Return the cost as formulas: of each path, or of the operator if it has no branches.

        Of an operator they are in b, c_in, c_out, g, the kernel k_h and k_w, and the output's h and w. Of a
        path they are for one image, in its channels c_H and c_L, the width m of a bottleneck, the kernel k,
        and the size h, w of the output's high branch. Of a transposed layer, h and w are the input's.

        Raises ValueError for a layer in one or three dimensions: the formulas are in two.
        """
        if self._octave:
            return path_formulas(self._octave)
        if len(self.sizes.size) != 2:
            raise ValueError(f"formulas need a layer in two dimensions, got {len(self.sizes.size)}")
        return dict(operator(self.op).formulas())

    def per_path(self) -> Rows:
        """Return one row per path, their sum, and the standard convolution of the same sizes.

        Of a layer without branches, the layer is the only row.
        """
        if self._octave:
            return Rows.of(layer_table(self._octave, Totals()))
        cost = self.cost()
        channels = f"{self.sizes.c_in}→{self.sizes.c_out}"
        return Rows([{"path": self.op, "channels": channels, "params": cost.params, "macs": cost.macs}])

    def notes(self) -> list[str]:
        """Return one note for each size that the rounding rule changed, and one if no path is compressed."""
        if not self._octave:
            return []
        return [*layer_notes(self._octave), *(uncompressed_note(self._octave) if self.op == "pwise" else [])]


def layer(
    op: str | None = None,
    *,
    c_in: int = 16,
    c_out: int = 16,
    size: Lengths = 32,
    kernel: Lengths | None = None,
    stride: int = 1,
    padding: Lengths | None = None,
    dilation: int = 1,
    groups: int | None = None,
    bias: bool = False,
    alpha: RatioLike = 0,
    alpha_in: RatioLike | None = None,
    alpha_out: RatioLike | None = None,
    beta: RatioLike = 2,
    paths: Iterable[str] = (),
    width_rule: str = "out",
    stride_rule: str = "C",
    between: str = "none",
    depthwise: bool = False,
    exchange: bool = False,
    batch: int = 1,
    dim: int = 2,
    output_padding: Lengths | None = None,
) -> CostedLayer:
    """Return a layer to be costed; `size` is the input's (h, w), or one number or three by `dim`.

    The kinds, `op`, are standard, pointwise, depthwise, separable, octave, pwise and transposed; octave and
    pwise layers have two dimensions. Without a kind, the choices decide: pwise if there are paths, octave if
    there is an alpha or the paths are depthwise, else standard. The padding is by default the one that keeps
    the size at stride 1, the kernel 3 and the groups 1, except where the kind determines them: a pointwise
    layer is 1x1, a depthwise one has c_in groups. `output_padding` adds to the output size of a transposed
    layer. `alpha` is the share of low-frequency channels of both ends, `alpha_in` and `alpha_out` of one.
    Paths that are bottlenecks are some of HH, HL, LH and LL, or a text: "HL,LH", "all" or "none". The width
    rule is out, in, min or mean, the stride rule A, B or C, and between the convolutions of a bottleneck is
    none, bn or bn_relu. A depthwise octave layer has the paths HH and LL, with `exchange` HL and LH too.

    Raises ValueError if a value is out of range, or the kind of layer cannot have these sizes or has no such
    option.

    >>> layer(alpha="1/4").cost().macs
    1585152
    >>> layer(alpha="1/4", paths=["LL"]).formula()["LL"].formula("params")
    'm*(2*c_L + k**2*m)'
    >>> layer("transposed", c_in=8, c_out=4, size=7, kernel=2, stride=2, padding=0).cost().macs
    6272
    >>> layer(dim=1, size=100, kernel=5).cost().macs == 5 * 16 * 16 * 100
    True
    """
    check_choice("width rule", width_rule, WIDTH_RULES)
    check_choice("stride rule", stride_rule, STRIDE_RULES)
    check_choice("between", between, BETWEEN)
    compressed = path_set(paths)
    one, two = _alphas(alpha, alpha_in, alpha_out)
    shape = shape_of(dim, size, kernel, padding, output_padding)
    options = Layer(
        c_in=_number(c_in, "c_in"),
        c_out=_number(c_out, "c_out"),
        stride=_number(stride, "stride"),
        dilation=_number(dilation, "dilation"),
        groups=_number(1 if groups is None else groups, "groups"),
        bias=bias,
        alpha_in=one,
        alpha_out=two,
        beta=check_beta(beta),
        paths=compressed,
        width_rule=width_rule,
        stride_rule=stride_rule,
        between=between,
        batch=_number(batch, "batch"),
        depthwise=depthwise,
        exchange=exchange,
    )
    has_branches = one or two or depthwise or exchange
    kind = op if op is not None else "pwise" if compressed else "octave" if has_branches else "standard"
    check_choice("op", kind, costed_kinds())
    if op is not None or depthwise or exchange:
        given = {"kernel": shape.kernel, "padding": shape.padding, "groups": groups}
        _check_idle(kind, options, given, _own(kind, options, shape.dim))
    made = CostedLayer(kind, sized(kind, options, shape))
    made.cost()  # raises ValueError if such a layer cannot exist
    return made


def _alphas(
    alpha: RatioLike, alpha_in: RatioLike | None, alpha_out: RatioLike | None
) -> tuple[Fraction, Fraction]:
    both = check_alpha(alpha)
    one = both if alpha_in is None else check_alpha(alpha_in, "alpha_in")
    return one, both if alpha_out is None else check_alpha(alpha_out, "alpha_out")


def _number(value: int, name: str) -> int:
    if isinstance(value, Iterable):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    return plain(value)


def _own(kind: str, options: Layer, dim: int) -> dict[str, object]:
    """Return the values that a kind determines itself, in `dim` dimensions."""
    own = operator(kind).own(options).items()
    return {name: value[:1] * dim if isinstance(value, tuple) else value for name, value in own}


def _check_idle(kind: str, options: Layer, given: Mapping[str, object], own: Mapping[str, object]) -> None:
    """Raise ValueError if a layer has a value that its kind does not have.

    `given` holds the options whose default depends on the kind: None where none was given.
    """
    entry, defaults = operator(kind), vars(Layer())
    idle = dict(entry.fixed)
    if not entry.has_branches:
        idle |= {f"a {kind} layer has no branches": BRANCH_OPTIONS}
    values, unused = vars(options) | dict(given), defaults | dict.fromkeys(given)
    for reason, names in idle.items():
        for name in names:
            value = values[name]
            if value not in (unused[name], own.get(name, defaults[name])):
                shown = ",".join(sorted(value)) if isinstance(value, frozenset) else value
                raise ValueError(f"{name} does not apply: {reason}, got {shown}")

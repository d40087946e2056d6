"""The options that `search` and `sweep` share: what describes a space of networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from costmodel.commands.shared import reading
from costmodel.convention import DTYPE_BYTES
from costmodel.networks.resnet import depth_of

if TYPE_CHECKING:
    from costmodel.search.space import Space

QUANTITIES = "params, macs, activations, bytes, training-macs, element-ops, calls"

AlphasOption: TypeAlias = Annotated[
    str, typer.Option("--alpha", help="Alphas: a list 0,1/4,1/2 or a range 0:0.75:0.125.")
]
BetasOption: TypeAlias = Annotated[str, typer.Option("--beta", help="Betas: a list 2,4 or a range 2:4:1/2.")]
PathSetsOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--paths",
        help="A set of paths that are bottlenecks: HL,LH, all or none; once a set. Default: all 16 sets.",
    ),
]
SizeOption: TypeAlias = Annotated[str, typer.Option(help="Input size: 32 or 32x48.")]
StrideRuleOption: TypeAlias = Annotated[str, typer.Option(help="Where a stride acts: A, B or C.")]
BetweenOption: TypeAlias = Annotated[str, typer.Option(help="Inside a bottleneck: none, bn or bn_relu.")]
WidthOption: TypeAlias = Annotated[int, typer.Option(help="Channels of the first stage.")]
ClassesOption: TypeAlias = Annotated[int, typer.Option(help="Outputs of the network.")]
DtypeOption: TypeAlias = Annotated[
    str, typer.Option(help=f"Element type of bytes: {', '.join(DTYPE_BYTES)}.")
]
PlotOption: TypeAlias = Annotated[
    str | None, typer.Option("--plot", help="Draw the result too, into this .svg, .png or .pdf.")
]


def read_space(
    models: Sequence[str],
    alpha: str,
    beta: str,
    paths: Sequence[str] | None,
    width_rules: Sequence[str],
    *,
    per_stage: bool = False,
    constraints: Sequence[str] = (),
    size: str = "32",
    **options: Any,
) -> Space:
    """Return the space that options describe, or raise ValueError."""
    _refuse_stages(alpha=[alpha], beta=[beta], paths=paths or ())
    from costmodel.grids.grid import PATH_SUBSETS
    from costmodel.search.space import space

    return space(
        [depth_of(name) for name in models],
        reading.alphas(alpha),
        reading.betas(beta),
        PATH_SUBSETS if paths is None else [reading.path_names(text) for text in paths],
        width_rules,
        per_stage=per_stage,
        constraints=constraints,
        size=reading.sides(size, "size"),
        **options,
    )


def _refuse_stages(**given: Sequence[str]) -> None:
    for name, texts in given.items():
        for text in texts:
            if reading.STAGE_SEPARATOR in text:
                raise ValueError(
                    f"--{name} here is the same in all stages, got {text}: `pwoct-cost` alone takes one a"
                    " stage, and `pwoct-cost search --per-stage` tries all"
                )

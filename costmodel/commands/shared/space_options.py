"""The options that describe a space of networks, shared by `search` and `sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from costmodel.commands.shared import reading
from costmodel.networks.resnet import depth_of

if TYPE_CHECKING:
    from costmodel.search.space import Space


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
    width: str | int = 16,
    **options: Any,
) -> Space:
    """Return the space that the options describe, or raise ValueError."""
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
        widths=reading.wholes(width, "width") if isinstance(width, str) else (width,),
        size=reading.sides(size, "size"),
        **options,
    )


def _refuse_stages(**given: Sequence[str]) -> None:
    for name, texts in given.items():
        for text in texts:
            if reading.STAGE_SEPARATOR in text:
                raise ValueError(
                    f"--{name} must agree in all stages here, got {text}: only `pwoct-cost` takes one per"
                    " stage, and `pwoct-cost search --per-stage` tries all"
                )

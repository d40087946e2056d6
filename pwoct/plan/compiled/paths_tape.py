"""The low paths of an octave layer as one operation of a training step: a common map is transformed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from pwoct.plan.compiled import operations
from pwoct.plan.compiled.filters import Filters
from pwoct.plan.compiled.library import load
from pwoct.plan.compiled.operations import WINOGRAD_CONVOLUTION, WINOGRAD_WEIGHT_GRADIENT, Map
from pwoct.plan.compiled.tape import Tape
from pwoct.plan.shared.choose import joins_winograd

_GEOMETRY = {**Filters(0, (1, 1, 3, 3), padding=(1, 1)).fields(), "stride": 1}


class LowPaths(NamedTuple):
    """The filters of LL, HL and LH: from the low map, from the pooled high one, and from the low map again.

    LL and HL are added; LH is another output.
    """

    ll: Filters
    hl: Filters
    lh: Filters


class PathsTape(Tape):
    """Records a network forward; the low paths of octave layers together."""

    def joins(self, low: Map, pooled: Map, paths: LowPaths) -> bool:
        """Whether these paths are computed together, forward and backward, by Winograd's method."""
        channels = low.channels, pooled.channels, paths.ll.shape[0], paths.lh.shape[0]
        alike = all(_is_plain(one) and one.trains for one in paths) and low.size == pooled.size
        whole = all(c % load().pwoct_side() == 0 for c in channels)
        forward = joins_winograd(*channels, low.size)
        backward = joins_winograd(*channels[2:], *channels[:2], low.size)
        return alike and whole and forward and backward

    def filter_paths(self, low: Map, pooled: Map, paths: LowPaths) -> tuple[Map, Map]:
        """Record LL(low) + HL(pooled) and LH(low); see `joins`."""
        ll, hl, lh = (one.places() for one in paths)
        y, z = (Map(one.shape[0], *low.size) for one in (paths.ll, paths.lh))
        self._convolve_both((low, pooled), (y, z), torch.cat([ll, hl], 1), lh, None)

        def gradient() -> None:
            dy, dz = self._gradients[y], self._gradients[z]
            self._gradients_of((low, pooled), (dy, dz), paths)
            outputs = Map(*self._shape(low)), Map(*self._shape(pooled))
            turned = [one.flip(2, 3).transpose(0, 1) for one in (ll, lh, hl)]
            before = self._gradients.get(low)
            self._convolve_both((dy, dz), outputs, torch.cat(turned[:2], 1), turned[2], before)
            self._gradients[low] = outputs[0]
            self._add_gradient(pooled, outputs[1])

        self._backward.append(gradient)
        return y, z

    def _convolve_both(
        self,
        inputs: Sequence[Map],
        outputs: Sequence[Map],
        places: torch.Tensor,
        of_second: torch.Tensor,
        plus: Map | None,
    ) -> None:
        """Record `places`, of both inputs to the first output, + plus; and `of_second`, first to second."""
        first, second = inputs
        weight = self.weights.add_winograd(places)
        self.weights.add_winograd(of_second)
        groups = [x.groups(self.group) for x in inputs]
        self.steps.append(
            operations.step(
                WINOGRAD_CONVOLUTION,
                outputs[0],
                {"input": first, "source": second, "plus": plus},
                **_GEOMETRY,
                weight=weight,
                groups=sum(groups),
                source_groups=groups[1],
                channels=outputs[0].channels,
                second_channels=outputs[1].channels,
            )
        )
        self.steps[-1].others["second"] = outputs[1]

    def _gradients_of(self, inputs: Sequence[Map], gradients: Sequence[Map], paths: LowPaths) -> None:
        self.steps.append(
            operations.step(
                WINOGRAD_WEIGHT_GRADIENT,
                None,
                {"input": gradients[0], "second": gradients[1], "source": inputs[0], "result": inputs[1]},
                **_GEOMETRY,
                weight=paths.ll.first,
                weight_of_source=paths.hl.first,
                weight_of_second=paths.lh.first,
                groups=sum(x.channels for x in inputs),
                source_groups=inputs[1].channels,
                channels=gradients[0].channels,
                second_channels=gradients[1].channels,
            )
        )


def _is_plain(filters: Filters) -> bool:
    """Whether filters are 3x3, with stride 1 and padding 1, without groups or bias."""
    is_alone = filters.groups == 1 and filters.bias == operations.NONE
    geometry = filters.shape[2:], filters.stride, filters.padding, filters.dilation
    return is_alone and geometry == ((3, 3), 1, (1, 1), 1)

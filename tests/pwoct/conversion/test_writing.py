"""What a network's code writes to a feature map in place stays written, by whatever name it is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pwoct.conversion.layout import BranchLayout
from pwoct.conversion.tensor import OctaveTensor, merge

Change = Callable[[Tensor], Tensor]
LAYOUTS = (BranchLayout.split(8, "1/4"), BranchLayout((0, 5, 2, 7), (6, 1, 4, 3)))


def pair(layout: BranchLayout) -> OctaveTensor:
    draw = torch.Generator().manual_seed(2)
    high = torch.randn(2, len(layout.high), 7, 10, generator=draw)
    return OctaveTensor(high, torch.randn(2, len(layout.low), 4, 5, generator=draw), layout, (7, 10))


def afterwards(by: Callable[[Tensor], object]) -> Change:
    """A map after something was done to it, whose result is not used."""

    def change(x: Tensor) -> Tensor:
        by(x)
        return x

    return change


def set_items(x: Tensor) -> None:
    x[:, 5:7] = 2.0


def add_elsewhere(x: Tensor) -> Tensor:
    plain = torch.ones(2, 8, 7, 10)
    other = plain
    plain.add_(x)
    return other


def twice_viewed(x: Tensor) -> None:
    views = x.flatten(2), x[:, 6]
    views[0].mul_(2)
    views[1].fill_(3.0)


def between(x: Tensor) -> Tensor:
    view = x[:, 1]
    y = x + 1
    view.fill_(5.0)
    return y * x


CHANGES: dict[str, Change] = {
    "a function without a rule": afterwards(lambda x: x.fill_(1.5)),
    "a rule": afterwards(lambda x: x.mul_(2).relu_()),
    "an option": afterwards(lambda x: torch.nn.functional.silu(x, inplace=True)),
    "an operator": afterwards(lambda x: x.__isub__(0.5)),
    "three operands": afterwards(lambda x: x.addcmul_(x, x, value=0.5)),
    "items": afterwards(set_items),
    "a view": afterwards(lambda x: x[:, 6].fill_(3.0)),
    "a view of a view": afterwards(lambda x: x.flatten(2).transpose(1, 2).mul_(2)),
    "two views": afterwards(twice_viewed),
    "a view, later": between,
    "a plain operand": add_elsewhere,
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=("in order", "out of order"))
@pytest.mark.parametrize("kind", CHANGES)
def test_what_is_written_in_place_stays_written(kind: str, layout: BranchLayout) -> None:
    x = pair(layout)
    wanted = CHANGES[kind](x.merged().clone())
    torch.testing.assert_close(merge(CHANGES[kind](x)), wanted)  # type: ignore[arg-type]


def test_a_part_of_neighbouring_channels_is_a_view() -> None:
    x = pair(LAYOUTS[0])
    whole = x.merged().clone()
    x.chunk(2, 1)[0].neg_()
    torch.testing.assert_close(merge(x), torch.cat((-whole[:, :4], whole[:, 4:]), 1))


def test_what_was_written_to_a_copy_of_channels_is_not_read_without_it() -> None:
    x = pair(LAYOUTS[0])
    left = x[:, ::2].neg_()  # as in networks that shuffle channels: the whole is not used again
    torch.testing.assert_close(merge(left + 0), -pair(LAYOUTS[0]).merged()[:, ::2])
    with pytest.raises(RuntimeError, match="are written to under another name: keep the layers before it"):
        x + 0


def test_nothing_is_noted_where_nothing_is_written() -> None:
    x = pair(LAYOUTS[1])
    x.flatten(2).softmax(2)
    y = x + 1
    assert isinstance(y, OctaveTensor)
    assert y.low is not None
    torch.testing.assert_close(y.low, pair(LAYOUTS[1]).low + 1)  # type: ignore[operator]
    with torch.inference_mode():
        assert pair(LAYOUTS[0])[:, 0].shape == (2, 7, 10)

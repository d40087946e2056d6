"""Results on symbolic sizes, held against torch's own at numbers; and the questions that aren't asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
import sympy as sp
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from costmodel.tracing import Call, closed_form, trace
from costmodel.tracing.symbolic import run_symbolic, size_symbol

AXES = {0: {0: "n", 2: "h", 3: "w"}}
HINTS = {"n": 2, "h": 21, "w": 34}
SIZES = [HINTS, {"n": 1, "h": 21, "w": 34}, {"n": 3, "h": 34, "w": 25}]


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.zeros(4, 8, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = (
            self.function(x) if self.function.__code__.co_argcount == 1 else self.function(x, self.weight)
        )
        return y


def shapes(calls: Sequence[Call], sizes: Mapping[str, int]) -> list[object]:
    """Return what each call returned; on symbols torch may take another way to the same view."""
    return [
        (call.operator, [tuple(number(size, sizes) for size in shape) for shape in call.outputs])
        for call in calls
        if call.kind != "view"
    ]


def number(value: object, sizes: Mapping[str, int]) -> object:
    return sp.sympify(value).subs({size_symbol(name): size for name, size in sizes.items()})


FUNCTIONS = {
    "stride": lambda x, w: F.conv2d(x, w.transpose(0, 1)[:8, :4].repeat(1, 2, 1, 1), None, 2, 1),
    "dilation": lambda x, w: F.conv2d(x, w, None, 1, 2, 2),
    "groups": lambda x, w: F.conv2d(x, w[:, :2], None, 1, 1, 1, 4),
    "transposed": lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1), None, 2, 1, 1),
    "max_pool": lambda x: F.max_pool2d(x, 3, 2, 1),
    "ceil_mode": lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
    "ceil_mode, wide padding": lambda x: F.avg_pool2d(x, 2, 3, 1, ceil_mode=True),
    "avg_pool": lambda x: F.avg_pool2d(x, (2, 3)),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
    "mean": lambda x: x.mean((2, 3), keepdim=True) * x,
    "cat": lambda x: torch.cat([x, x[:, :3], x.mean(1, keepdim=True)], 1),
    "norms": lambda x: F.group_norm(F.layer_norm(x.permute(0, 2, 3, 1), (8,)).permute(0, 3, 1, 2), 4),
    "scalar": lambda x: (1 - x) * 2.0 / 3,
    "in place": lambda x: F.relu(x.clone().add_(1).mul_(x)),
    "flatten": lambda x: x.flatten(2) @ x.flatten(2).transpose(1, 2),
    "split": lambda x: torch.cat([part.sigmoid() for part in x.chunk(2, 1)], 1),
    "shuffle": lambda x: x.view(x.shape[0], 2, 4, x.shape[2], -1).transpose(1, 2).reshape(x.shape),
    "pixels": lambda x: F.pixel_shuffle(x, 2),
    "permuted": lambda x: (x.permute(0, 2, 3, 1) + 1).reshape(x.shape[0], -1, 8),
    "channels last": lambda x: F.relu(x.contiguous(memory_format=torch.channels_last)).flatten(2),
    "prelu": lambda x: F.prelu(x, x.new_zeros(8)),
    "integers": lambda x: torch.div(x.argmax(1), 2, rounding_mode="floor"),
    "double": lambda x: x.double() + x,
    "softmax": lambda x: x.softmax(1) * x.sum() + x.amax(dim=1, keepdim=True),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_shapes_and_calls_are_those_of_a_run_at_numbers(name: str) -> None:
    model = Function(FUNCTIONS[name])
    ran = run_symbolic(model, [torch.zeros(2, 8, 21, 34)], {}, AXES, HINTS)
    for sizes in (s for s in SIZES if all(number(condition, s) for condition in ran.conditions)):
        counted = trace(model, [torch.zeros(sizes["n"], 8, sizes["h"], sizes["w"])])
        assert shapes(ran.calls, sizes) == shapes(counted.calls, sizes)


def test_nothing_is_asked_about_memory() -> None:
    model = nn.Sequential(
        nn.Conv2d(8, 4, 3, 2, 1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    ran = run_symbolic(model, [torch.zeros(2, 8, 21, 34)], {}, AXES, HINTS)
    assert set(ran.conditions) <= {sp.true}


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x, w: F.conv2d(x[:, :5], w), "aten.convolution"),
        (lambda x: x + x[:, :3], "aten.add"),
        (lambda x: F.max_pool2d(x, 2, 1, 2), "aten.max_pool2d_with_indices"),
        (lambda x: torch.cat([x, x[:, :, 1:]], 1), "aten.cat"),
        (lambda x: x.clone().add_(x[None]), "aten.add_"),
    ],
)
def test_what_torch_refuses_is_refused(function: Callable[[Tensor], Tensor], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        run_symbolic(Function(function), [torch.zeros(2, 8, 21, 34)], {}, AXES, HINTS)


@pytest.mark.parametrize("features", [1, 7])
def test_pooled_maps_that_a_linear_layer_fixes_are_said_as_sizes(features: int) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, 32, 1), nn.AvgPool2d(8 - features, 1), nn.Flatten(), nn.Linear(4 * features**2, 5)
    )
    form = closed_form(model, [torch.zeros(1, 3, 224, 224)], AXES)
    assert form.domain.text == "for n >= 1; 193 <= h, w <= 224"
    assert form.specialised["h"] == "h <= 224, bounded by 3: aten.addmm"
    sizes = {"n": 2, "h": 200, "w": 224}
    assert form.at(**sizes) == trace(model, [torch.zeros(2, 3, 200, 224)]).total()

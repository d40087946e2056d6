"""Closed forms: hand values, domains, sizes that code fixes, and equality with counts at random sizes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sympy as sp
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._sympy.functions import CeilToInt, RoundToInt, ToFloat, TruncToInt

from costmodel.tracing import ClosedForm, TraceError, closed_form, trace
from costmodel.tracing.instead import _scaled
from costmodel.tracing.translation import Translation

IMAGE = {0: {0: "n", 2: "h", 3: "w"}}
n, h, w, t = sp.symbols("n h w t", positive=True, integer=True)


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.conv = function, nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


def image_form(model: nn.Module, size: int = 32) -> ClosedForm:
    return closed_form(model, [torch.zeros(1, 3, size, size)], IMAGE)


def agrees(form: ClosedForm, model: nn.Module, **sizes: int) -> bool:
    x = torch.zeros(sizes["n"], 3, sizes["h"], sizes["w"])
    return form.at(**sizes) == trace(model, [x]).total()


def test_strides_become_ceilings() -> None:
    model = nn.Sequential(*(nn.Conv2d(3, 3, 3, stride=2, padding=1, bias=False) for _ in range(3)))
    form = image_form(model)
    assert form.total.macs == sp.expand(
        81 * n * sum(sp.ceiling(h / k) * sp.ceiling(w / k) for k in (2, 4, 8))
    )
    assert form.domain.text == "for n, h, w >= 1"
    assert form.status == "exact for the domain"
    assert form.per_layer["1"].macs == 81 * n * sp.ceiling(h / 4) * sp.ceiling(w / 4)


def test_a_kernel_that_must_fit_bounds_the_domain() -> None:
    form = image_form(nn.Sequential(nn.Conv2d(3, 4, 7), nn.Conv2d(4, 4, 5)))
    assert form.domain.holds({"n": 1, "h": 12, "w": 12})
    assert not form.domain.holds({"n": 1, "h": 10, "w": 12})
    with pytest.raises(
        ValueError, match=r"^the formula holds for n >= 1; h, w >= 1[12]; got n = 1, h = 5, w = 12$"
    ):
        form.at(n=1, h=5, w=12)


def test_attention_is_quartic_in_the_image() -> None:
    model = Function(lambda x: F.scaled_dot_product_attention(*[x.flatten(2).transpose(1, 2)] * 3))
    form = image_form(model)
    assert sp.expand(form.total.macs - n * (4 * 27 * h * w + 2 * 4 * (h * w) ** 2)) == 0


def test_sequences() -> None:
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    form = closed_form(model, [torch.zeros(1, 5, 8)], {0: {0: "n", 1: "t"}})
    assert sp.expand(form.total.macs - n * (t * (4 * 64 + 2 * 128) + 2 * t**2 * 8)) == 0
    assert form.domain.holds({"n": 1, "t": 7})


def test_what_code_asks_of_sizes_is_in_the_domain() -> None:
    model = Function(lambda x: F.pixel_unshuffle(x, 4))
    form = image_form(model)
    assert form.domain.holds({"n": 2, "h": 64, "w": 16})
    assert not form.domain.holds({"n": 2, "h": 66, "w": 16})
    assert form.domain.text == "for n >= 1; h, w multiples of 4"


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
def test_interpolation_keeps_symbols(mode: str) -> None:
    model = Function(lambda x: F.interpolate(x, scale_factor=1.5, mode=mode))
    form = image_form(model)
    assert form.status == "exact for the domain"
    assert agrees(form, model, n=2, h=19, w=34)


def test_a_size_that_the_code_fixes_is_said_with_its_place() -> None:
    def rigid(x: Tensor) -> Tensor:
        assert x.shape[2] == 32
        return x.relu()

    form = image_form(Function(rigid))
    assert form.specialised == {"h": "h = 32, fixed before (model): aten.relu"}
    assert form.total.macs == 108 * 32 * n * w
    assert form.domain.holds({"n": 1, "h": 32, "w": 9})
    assert not form.domain.holds({"n": 1, "h": 33, "w": 9})


def test_code_that_fixes_sizes_and_runs_at_others_is_interpolated_and_says_so() -> None:
    model = Function(lambda x: x @ torch.zeros(int(x.shape[3]), int(x.shape[2])))
    form = image_form(model, 64)
    assert form.status == "interpolated, checked at 20 sizes"
    assert sp.expand(form.total.macs - n * (108 * h * w + 4 * h * w * h)) == 0
    assert form.domain.text == "for n >= 1; h, w multiples of 32 and at least 64"
    assert agrees(form, model, n=3, h=320, w=96)


def test_recurrent_layers_are_linear_in_time() -> None:
    form = closed_form(nn.GRU(8, 4, batch_first=True), [torch.zeros(1, 5, 8)], {0: {0: "n", 1: "t"}})
    assert form.total.macs == 12 * 12 * n * t


E = 4 * n * h * w  # the elements of the feature map; adding the bias is one operation for each


@pytest.mark.parametrize(
    ("function", "ops"),
    [
        (lambda x: x.softmax(1), 3 * E),
        (lambda x: x.mean((2, 3)), E),
        (lambda x: x * 2 > 1, 2 * E),
        (lambda x: F.batch_norm(x, torch.zeros(4), torch.ones(4)).sum() / 3, 3 * E + 1),
    ],
    ids=["softmax", "reduction", "elementwise", "several"],
)
def test_element_operations_of_every_part_are_in_the_formula(
    function: Callable[[Tensor], Tensor], ops: sp.Expr
) -> None:
    model = Function(function)
    form, counted = image_form(model), trace(model, [torch.zeros(1, 3, 32, 32)])
    found = form.value("element_ops", n=1, h=32, w=32)
    assert found == counted.total().element_ops == sum(counted.element_ops().values())
    assert found == (E + ops).subs({n: 1, h: 32, w: 32})
    assert sp.expand(form.total.element_ops - E - ops) == 0


def test_lazy_layers_have_a_form() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d())
    form = image_form(model)
    assert (form.total.macs, form.domain.text) == (
        sp.expand(108 * n * (h - 2) * (w - 2)),
        "for n >= 1; h, w >= 3",
    )


def test_symbols_must_fit_the_inputs() -> None:
    with pytest.raises(ValueError, match=r"^input 0 has 4 axes, got t for axis 4$"):
        closed_form(nn.Conv2d(3, 4, 3), [torch.zeros(1, 3, 8, 8)], {0: {4: "t"}})
    with pytest.raises(ValueError, match=r"^h must be one size, got 8 and 9$"):
        closed_form(nn.Conv2d(3, 4, 3), [torch.zeros(1, 3, 8, 9)], {0: {2: "h", 3: "h"}})


def test_errors_name_the_module() -> None:
    with pytest.raises(TraceError, match=r"^1 fails"):
        image_form(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(5, 4, 3)))


LAYERS = st.sampled_from(
    [
        lambda: nn.Conv2d(3, 3, 3, padding=1),
        lambda: nn.Conv2d(3, 3, 2, stride=2),
        lambda: nn.Conv2d(3, 3, 5, stride=3, padding=2, groups=3),
        lambda: nn.ConvTranspose2d(3, 3, 3, stride=2, output_padding=1),
        lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        lambda: nn.AvgPool2d(2),
        lambda: nn.Upsample(scale_factor=2),
        lambda: nn.BatchNorm2d(3),
        lambda: nn.Sequential(nn.ReLU(), nn.ZeroPad2d((1, 2, 0, 1))),
        lambda: nn.AdaptiveAvgPool2d(3),
    ]
)


@settings(max_examples=15)
@given(st.lists(LAYERS, min_size=1, max_size=4), st.integers(1, 3), st.integers(40, 90), st.integers(40, 90))
def test_the_form_is_the_count_at_any_size(
    makers: list[Callable[[], nn.Module]], n: int, h: int, w: int
) -> None:
    model = nn.Sequential(*(make() for make in makers))
    form = image_form(model, 64)
    assert form.status == "exact for the domain"
    if form.domain.holds({"n": n, "h": h, "w": w}):
        assert agrees(form, model, n=n, h=h, w=w)


def test_a_rounding_that_the_domain_makes_exact_is_not_written() -> None:
    def halved_and_joined(x: Tensor) -> Tensor:
        return torch.cat([x, F.interpolate(F.max_pool2d(x, 4), scale_factor=4)], 1)

    model = nn.Sequential(Function(halved_and_joined), nn.AvgPool2d(4), nn.Conv2d(8, 2, 1))
    form = image_form(model)
    assert form.domain.text == "for n >= 1; h, w multiples of 4"
    assert form.per_layer["2"].macs == n * h * w
    assert not form.total.macs.has(sp.floor)
    assert agrees(form, model, n=2, h=12, w=20)


def test_the_line_of_the_domain_says_what_fixes_a_size() -> None:
    form = closed_form(
        nn.Sequential(nn.Conv2d(3, 4, 1)), [torch.zeros(1, 3, 8, 8)], {0: {1: "c", 2: "h", 3: "w"}}
    )
    assert form.domain.text == "for h, w >= 1; c = 3 (fixed by 0)"


def test_a_size_from_floating_point_is_exact_or_refused_by_name() -> None:
    size = sp.Symbol("s0", positive=True, integer=True)
    translation = Translation({size: h})
    assert translation.expression(TruncToInt(ToFloat(size) * sp.Float(0.75))) == sp.floor(3 * h / 4)
    assert translation.expression(sp.Float(0.4) * size > 2).subs(h, 6) == sp.true
    for rounded, message in (
        (
            CeilToInt(ToFloat(size) * sp.Float(0.4)),
            r"the product .*0\.4.*h is rounded in floating point",
        ),
        (RoundToInt(size / sp.Integer(2)), r"no rule for round\(h/2\) of sizes"),
    ):
        with pytest.raises(TraceError, match=rf"^\(model\): {message}"):
            translation.expression(rounded)


def test_a_scaled_size_is_that_of_torch_or_refused() -> None:
    refused = set()
    for p, q in ((p, q) for q in range(1, 31) for p in range(1, 61)):
        for multiple in range(1, 40):
            size = multiple * q
            try:
                assert _scaled(size, p / q) == int(size * (p / q)), (size, p, q)
            except TraceError:
                refused.add((p / q, size))
    assert (0.7, 90) in refused  # torch interpolates 90 pixels to 62, not to 63
    assert {1.5, 0.3, 1 / 3, 2.0}.isdisjoint(factor for factor, _ in refused)
    with pytest.raises(TraceError, match=r"^\(model\): sizes times 0.1234567 are rounded in floating point$"):
        _scaled(100, 0.1234567)

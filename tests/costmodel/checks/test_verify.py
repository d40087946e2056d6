from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks.comparison import Report, Row
from costmodel.checks.observe import observe_training
from costmodel.checks.verify import Formula, compare, training_macs, verify_named, verify_network
from costmodel.convention import Cost
from costmodel.networks.resnet import named
from pwoct.resnet import resnet


def row(report: Report, name: str) -> Row:
    return next(row for row in report.rows if row.name == name)


def totals(report: Report) -> dict[str, set[int]]:
    """Every value of a quantity: the formula's, and each counter's."""
    return {c.quantity: {c.formula, *c.counts.values()} for c in report.total.checks}


@pytest.mark.parametrize(
    ("name", "options", "params", "macs"),
    [
        ("resnet20", {}, 272_282, 40_813_184),
        ("resnet56", {}, 855_578, 125_747_840),
        ("resnet56", {"alpha": "1/4"}, 855_578, 85_295_744),
        ("resnet56", {"alpha": "1/2"}, 855_578, 56_148_608),
        ("resnet56", {"alpha": "3/4"}, 855_578, 38_306_432),
        ("resnet56", {"alpha": "1/4", "paths": ["HL", "LH", "LL"]}, 696_150, 79_309_440),
        ("resnet56", {"alpha": "1/4", "paths": ["HH", "HL", "LH", "LL"]}, 409_482, 36_473_472),
    ],
)
def test_known_networks_have_their_known_counts(
    name: str, options: dict[str, Any], params: int, macs: int
) -> None:
    report = verify_named(name, **options)
    assert report.differences == []
    assert totals(report)["params"] == {params}
    assert totals(report)["macs"] == {macs}


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": "1/4", "size": (33, 47), "batch": 3},
        {"alpha": "1/4", "size": (7, 5), "batch": 2, "paths": ["LH"], "stride_rule": "A"},
        {"alpha": "1/3", "stride_rule": "B", "paths": ["HL", "LL"], "between": "bn_relu"},
        {"alpha": ["1/8", "0", "1"], "beta": ["2", "4", "3/2"], "paths": [["HH"], ["HL"], ["LL"]]},
        {"alpha": "1", "paths": ["HH", "HL", "LH", "LL"], "width_rule": "mean", "between": "bn"},
        {"alpha": "0", "paths": ["HH"], "width": 5, "classes": 100, "in_channels": 1},
        {"width": 1, "alpha": "1/2", "size": 17},
    ],
    ids=str,
)
def test_networks_agree_with_every_counter(options: dict[str, Any]) -> None:
    report = verify_named("resnet14", **options)
    assert report.differences == []
    assert report.excuses == []
    assert report.total.agrees


def test_a_network_of_1202_layers_is_verified() -> None:
    convolutions = 400 * 2304 + (4608 + 399 * 9216) + (18432 + 399 * 36864)
    normalisations = 2 * (16 + 400 * (16 + 32 + 64))
    report = verify_named("resnet1202", size=8, batch=2)
    assert report.differences == []
    assert totals(report)["params"] == {432 + convolutions + (512 + 2048) + normalisations + 650}


def test_every_convolution_linear_layer_and_normalisation_has_a_row() -> None:
    model = resnet(8, alpha="1/4", paths=["LH"], between="bn")
    report = verify_network(named("resnet8", alpha="1/4", paths=["LH"], between="bn"), model)
    weighted = {name for name, m in model.named_modules() if [*m.parameters(recurse=False)]}
    assert weighted <= {row.name for row in report.rows}
    assert {row.kind for row in report.rows if row.name in weighted} == {"conv", "linear", "bn"}


def test_bytes_saved_belong_to_the_module_that_saves_them() -> None:
    report = verify_named("resnet8")
    relu = 4 * 16 * 32 * 32
    saved = {
        name: row(report, name).check("saved_bytes") for name in ("stem", "stages.0.0", "stages.0.0.conv1")
    }
    # The stem keeps the image, a block its two rectified maps, and its first convolution nothing of its own.
    assert {name: check and check.formula for name, check in saved.items()} == {
        "stem": 4 * 3 * 32 * 32,
        "stages.0.0": 2 * relu,
        "stages.0.0.conv1": 0,
    }


def plain() -> tuple[Any, nn.Module]:
    return named("resnet8"), resnet(8)


def test_a_module_without_formula_fails_by_name() -> None:
    net, model = plain()
    model.stages[1][0].extra = nn.Linear(2, 2)
    differences = verify_network(net, model).differences
    assert "stages.1.0.extra: there is no formula of this name" in differences
    assert "stages.1.0.extra: parameters: formula 0, parameters() 6" in differences


def test_a_formula_without_module_fails_by_name() -> None:
    net, model = plain()
    model.stages[1][0].conv1 = nn.Sequential(model.stages[1][0].conv1)
    differences = verify_network(net, model).differences
    assert "stages.1.0.conv1.0: there is no formula of this name" in differences
    assert any(line.startswith("stages.1.0.conv1: MACs: formula 1,179,648, ") for line in differences)


def test_a_function_that_convolves_outside_any_layer_fails_at_its_block() -> None:
    net, model = plain()
    block = model.stages[0][0]
    weight = torch.ones(16, 16, 1, 1)

    def forward(x: Tensor) -> Tensor:
        return nn.functional.conv2d(type(block).forward(block, x), weight)

    block.forward = forward
    macs = 16 * 16 * 32 * 32
    differences = verify_network(net, model).differences
    assert f"stages.0.0: MACs: formula 0, FlopCounterMode {macs:,}" in differences
    assert f"(model): MACs: formula 0, fvcore {macs:,}" in differences  # it knows layers, not blocks


def test_code_that_does_not_run_fails_at_its_module() -> None:
    net, model = plain()
    model.stages[1][0].conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
    report = verify_network(net, model)
    (difference,) = report.differences
    assert difference.startswith("stages.1.0.conv2: the code fails: ")
    assert (report.total.agrees, report.numbers_compared) == (False, 0)


def test_a_tensor_kept_too_long_fails_at_its_block() -> None:
    net, model = plain()
    block = model.stages[0][0]
    block.forward = lambda x: type(block).forward(block, x).exp()
    kept = 4 * 16 * 32 * 32
    assert verify_network(net, model).differences[0] == (
        f"stages.0.0: bytes saved: formula {2 * kept:,}, saved_tensors_hooks {3 * kept:,}"
    )


def test_a_module_that_only_keeps_a_tensor_fails_by_name() -> None:
    net, model = plain()
    block = model.stages[0][0]
    block.extra = nn.Sigmoid()
    block.forward = lambda x: block.extra(type(block).forward(block, x))
    assert "stages.0.0.extra: there is no formula of this name" in verify_network(net, model).differences


def test_a_formula_of_no_module_fails_by_name() -> None:
    found = compare("stem", Formula("conv", Cost(weights=5)), {"params": {"parameters()": 0}}, None, bool)
    assert next(found.differences()) == "stem: there is no module of this name"


def test_a_frozen_network_differs_from_the_formulas_of_a_trained_one() -> None:
    net, model = plain()
    differences = verify_network(net, model.requires_grad_(False)).differences
    assert any(line.startswith("total: training MACs: ") for line in differences)


def test_a_frozen_twin_of_a_layer_is_counted_apart() -> None:
    model = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(3)))
    model[1].requires_grad_(False)
    images, macs = torch.zeros(2, 3, 8, 8), 2 * 9 * 64
    assert training_macs(model, observe_training(model, [images])) == {
        "0": 2 * macs,
        "1": 2 * macs,
        "2": 3 * macs,
    }


@pytest.mark.parametrize("said", ["can't allocate memory: 8 bytes", "Storage size calculation overflowed"])
def test_what_does_not_fit_into_memory_is_no_difference(said: str) -> None:
    net, model = plain()

    def forward(_: Tensor) -> Tensor:
        raise RuntimeError(said)

    model.stages[0][0].forward = forward
    with pytest.raises(ValueError, match="a batch of 1 images of 32x32 does not fit into memory"):
        verify_network(net, model)


def test_a_single_value_a_channel_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^stages\.2\.0\.bn1: batch normalisation .*, got batch 1 and size 4x4$"
    ):
        verify_named("resnet8", size=4)


def test_unknown_networks_are_refused_with_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r"^unknown model resnet57: .* did you mean resnet56\?$"):
        verify_named("resnet57")


@pytest.mark.parametrize(("size", "batch"), [(99_999_999, 1), (32, 9_999_999_999)])
def test_a_batch_that_no_memory_holds_is_refused(size: int, batch: int) -> None:
    message = rf"^a batch of {batch} images of {size}x{size} does not fit into memory$"
    with pytest.raises(ValueError, match=message):
        verify_named("resnet8", size=size, batch=batch)


def test_a_layer_whose_output_no_memory_holds_is_refused() -> None:
    def forward(x: Tensor) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    net, model = plain()
    model.stages[1][0].forward = forward
    with pytest.raises(ValueError, match=r"^a batch of 1 images of 32x32 does not fit into memory$"):
        verify_network(net, model)

"""Defects in training steps, refusals and tables are found at the points that are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor, nn

from costmodel import convention
from costmodel.checks import kind_theorems, refusal_theorems, table_theorems, training_theorems
from costmodel.checks.prove import Identity, equal
from costmodel.grids import quantities
from costmodel.networks import network, resnet
from costmodel.operators import depthwise, elementwise, octave, recorder, registry, standard
from costmodel.operators.recorder import FeatureMap, Operator, Recorder
from costmodel.tables import network as tables
from pwoct import branches

Cases = Callable[[], Iterable[Identity]]


def failures(cases: Iterable[Identity]) -> Iterator[str]:
    return (failure for case in cases for failure in equal(case).failures)


@pytest.mark.parametrize(
    "cases",
    [
        lambda: training_theorems._layers(12),
        lambda: training_theorems._networks(1),
        lambda: refusal_theorems._layers(40),
        lambda: refusal_theorems._networks(12),
        refusal_theorems._names,
        table_theorems._rows,
        table_theorems._tables,
        table_theorems._quantities,
        table_theorems._notes,
        lambda: kind_theorems._layers(4),
        lambda: kind_theorems._explained(4),
    ],
)
def test_they_hold(cases: Cases) -> None:
    assert list(failures(cases())) == []


def test_gradients_of_groups_that_cost_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    convolution = standard.convolution

    def doubled(*args: Any, groups: Any = 1, **options: Any) -> Any:
        cost = convolution(*args, groups=groups, **options)
        return replace(cost, macs_weight_grad=2 * cost.macs_weight_grad) if groups > 1 else cost

    monkeypatch.setattr(recorder, "convolution", doubled)
    assert "training MACs" in next(failures(training_theorems._layers(20)))


def test_a_single_pixel_that_is_upsampled_into_new_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    upsample = Recorder.upsample

    def copied(self: Recorder, *args: Any) -> FeatureMap:
        return replace(upsample(self, *args), view_of=None)

    monkeypatch.setattr(Recorder, "upsample", copied)
    assert "saved bytes" in next(failures(training_theorems._networks(20)))


def test_a_copy_that_the_formulas_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    through = branches.OctBatchNorm2d.forward

    def copying(self: nn.Module, x: Any) -> Any:
        return through(self, x._replace(high=None if x.high is None else x.high.clone()))  # type: ignore[arg-type]

    monkeypatch.setattr(branches.OctBatchNorm2d, "forward", copying)
    found = next(failures(training_theorems._networks(3)))
    assert found.startswith("all upsample operators of ")
    assert ": calls: " in found


def test_poolings_that_save_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    note = Recorder.note

    def forgetting(self: Recorder, name: str, part: str, *args: Any, saves: Any = (), **others: Any) -> Any:
        return note(self, name, part, *args, saves=() if part == "pool" else saves, **others)

    monkeypatch.setattr(Recorder, "note", forgetting)
    assert "saved bytes" in next(failures(training_theorems._layers(20)))


def test_traffic_of_additions_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    add = elementwise.add
    monkeypatch.setattr(elementwise, "add", lambda elements: replace(add(elements), elements_read=elements))
    assert ": reads: " in next(failures(training_theorems._layers(20)))


def test_a_depth_that_the_formulas_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = resnet.resnet
    monkeypatch.setattr(
        refusal_theorems, "resnet", lambda depth, **options: made(depth - (depth - 2) % 6, **options)
    )
    assert "whether it is refused: code 1, formula 0" in next(failures(refusal_theorems._networks(20)))


def test_a_shortcut_that_the_formulas_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(net: Any) -> None:
        if net.backbone.shortcut == "A" and net.backbone.n == 1:
            raise ValueError("no")

    monkeypatch.setattr(resnet, "_check_shortcuts", refusing)
    assert any("code 0, formula 1" in text for text in failures(refusal_theorems._networks(100)))


def test_a_depthwise_layer_that_loses_a_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(octave, "_check_depthwise", lambda _: None)
    assert "code 1, formula 0" in next(failures(refusal_theorems._layers(200)))


def test_a_name_that_the_formulas_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_theorems, "NAMES", ("resnet8",))
    monkeypatch.setattr(refusal_theorems, "build", lambda _: int("x"))
    assert next(failures(refusal_theorems._names())) == (
        "name 'resnet8': whether it is refused: code 1, formula 0"
    )


def test_layers_in_the_wrong_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(operators: list[Operator]) -> Iterator[tuple[str, list[Operator]]]:
        names, groups = zip(*network.layers(operators), strict=True)
        yield from zip(names, (groups[1], groups[0], *groups[2:]), strict=True)

    monkeypatch.setattr(tables, "layers", swapped)
    assert "row stem of resnet14" in next(failures(table_theorems._rows()))


def test_one_row_for_all_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "layer_name", lambda operator: operator.name.split(".")[0])
    assert "stages.0.0.conv1 of resnet14" in next(failures(table_theorems._rows()))


def test_a_change_against_the_wrong_network(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = tables._changes
    monkeypatch.setattr(tables, "_changes", lambda own, plain, _: changes(own, plain, plain))
    assert "against octave" in next(failures(table_theorems._tables()))


def test_notes_where_nothing_is_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resnet, "width_note", lambda *_: "m")
    assert "notes on rounding" in next(failures(table_theorems._notes()))


def test_an_upsampling_of_the_width_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that copies the rows only where there is more than one."""

    def repeated(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, -1).repeat_interleave(2 if x.shape[-2] > 1 else 1, -2)

    monkeypatch.setattr(branches, "_repeat_pixels", repeated)
    assert any(failures(training_theorems._layers(60)))


@pytest.mark.parametrize("name", ["float16", "float32"])
def test_bytes_of_the_wrong_type(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(convention.DTYPE_BYTES, name, 3)  # type: ignore[arg-type]
    assert "MACs per byte" in next(failures(table_theorems._quantities()))


def test_a_quantity_of_other_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    read = replace(quantities.NAMED["bytes"], parts=("elements_read",))
    monkeypatch.setitem(quantities.NAMED, "bytes", read)  # type: ignore[arg-type]
    assert ": bytes: " in next(failures(table_theorems._quantities()))


def test_a_separable_layer_whose_second_part_has_no_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depthwise, "_strided", lambda size, *_: size)
    assert "separable" in next(failures(kind_theorems._layers(10)))


def test_an_explained_formula_of_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    found = kind_theorems.operator("depthwise")
    monkeypatch.setattr(kind_theorems, "operator", lambda _: replace(found, formulas=registry._separable))
    assert any(failures(kind_theorems._explained(2)))


def test_a_slice_that_takes_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeatureMap, "channel_slice", lambda self, channels: replace(self, channels=channels))
    assert "saved bytes" in next(failures(training_theorems._networks(10)))

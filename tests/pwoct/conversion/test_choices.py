"""Networks that are no networks to convert, and choices that can't be met: one clear line each."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pwoct
from pwoct.conversion.options import parse_layers
from tests.pwoct.conversion.networks import Grouped, Net, conv3

SHAPE = (1, 3, 8, 8)


class Asserts(Net):
    def body(self, x: Tensor) -> Tensor:
        x = self.a(x)
        assert type(x) is Tensor, "no tensor"
        return self.b(x)


class Hooked(Net):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("not this one\nreally")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv1d(3, 8, 3), "Conv1d has no two-dimensional convolution (nn.Conv2d)"),
        (
            lambda: pwoct.convert(Net(), alpha=0.5),
            "Net is already converted: convert the original with different",
        ),
        (
            lambda: nn.Sequential(conv3(3, 8), torch.jit.script(conv3(8, 8))),
            "1 is compiled by torch.jit: convert the network before that",
        ),
        (
            Asserts,
            "its code after a can't take a feature map in two branches: AssertionError: no tensor; keep the",
        ),
        (Hooked, "Hooked can't be copied: TypeError: not this one"),
    ],
)
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_what_is_no_network_to_convert_is_one_clear_line(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        pwoct.convert(make(), alpha="1/4", inputs=SHAPE)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("1,3,8,8", "inputs must be a shape such as (1, 3, 224, 224), a tensor or a tuple, got '1,3,8,8'"),
        ((), "inputs must be a shape such as (1, 3, 224, 224), a tensor or a tuple, got ()"),
        ((1, -3, 8, 8), "sizes of the input must be at least 1, got (1, -3, 8, 8)"),
        ((0, 3, 8, 8), "sizes of the input must be at least 1, got (0, 3, 8, 8)"),
    ],
)
def test_what_is_no_input_is_one_clear_line(inputs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        pwoct.convert(Net(), alpha="1/4", inputs=inputs)


def test_weights_that_are_not_there_are_not_carried_over() -> None:
    with pytest.raises(ValueError, match="init 'pretrained' needs weights, but Net is on the meta device"):
        pwoct.convert(Net().to("meta"), alpha="1/4", inputs=SHAPE, init="pretrained")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_a_shape_is_of_the_networks_dtype(dtype: torch.dtype) -> None:
    made = pwoct.convert(Net().to(dtype), alpha="1/4", inputs=SHAPE)
    assert made(torch.ones(SHAPE, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"a": "plain", "*": "alpha:1/2"}, "layers: 'a' has no effect, because '*' comes after it"),
        ({"a": "alpha:1/2", "[ab]": "plain"}, "layers: 'a' has no effect, because '[ab]' comes after it"),
        ({"a": "beta:4"}, "layers: 'a' asks for beta 4, but none of these layers' paths is a bottleneck"),
        (["a=plain", "a=alpha:1/2"], "layers: 'a' is given twice: write one choice, key by key"),
        ({"a": {"gamma": 1}}, "layers['a'] takes alpha, beta, paths or plain, got ['gamma']"),
    ],
)
def test_choices_that_have_no_effect_are_refused(layers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        pwoct.convert(Net(), alpha="1/4", inputs=SHAPE, layers=layers)


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv3(3, 8), *(conv3(8, 8) for _ in range(6)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def test_later_choices_replace_parts_of_earlier_ones() -> None:
    layers = ["layers.*=alpha:1/2,paths:HL,LH", "layers.[34]=beta:4", "layers.4=paths:LL", "layers.5=plain"]
    made = pwoct.convert(Deep(), alpha="1/4", layers=layers, inputs=SHAPE)
    specs = {layer.name: layer.spec for layer in pwoct.conversion_of(made).converted if layer.spec}
    assert "layers.5" not in specs
    assert {name: len(spec.layout_out.low) for name, spec in specs.items()} == {
        "layers.1": 4, "layers.2": 4, "layers.3": 4, "layers.4": 0,
    }  # fmt: skip
    # Four channels in each branch: hidden ones are 4 / 2 or 4 / 4. The first and the last are not compressed.
    assert [dict(specs[f"layers.{k}"].widths) for k in (1, 2, 3)] == [
        {},
        {"HL": 2, "LH": 2},
        {"HL": 1, "LH": 1},
    ]


@pytest.mark.parametrize("change", ["hook", "forward"])
def test_a_convolution_that_does_more_than_its_class_stays(change: str) -> None:
    network, calls = Deep().eval(), []
    conv = network.layers[3]
    assert isinstance(conv, nn.Conv2d)
    if change == "hook":
        conv.register_forward_hook(lambda module, given, result: calls.append("hook"))
    else:
        own = conv.forward
        conv.forward = lambda x: (calls.append("forward"), own(x))[1]  # type: ignore[method-assign]
    made = pwoct.convert(network, alpha="1/4", inputs=SHAPE)
    reasons = {layer.name: layer.reason for layer in pwoct.conversion_of(made).kept}
    assert (
        reasons["layers.3"]
        == {"hook": "it has hooks", "forward": "its forward is not that of its class"}[change]
    )
    calls.clear()
    for one in (network, made):
        one(torch.zeros(SHAPE))
    assert calls == [change, change]


def test_a_bottleneck_is_refused_where_none_of_the_named_layers_can_have_one() -> None:
    message = "layers: 'g*' asks for bottlenecks (HL,LH), but matches only 1x1 or grouped convolutions"
    with pytest.raises(ValueError, match=re.escape(message)):
        pwoct.convert(Grouped(), alpha="1/4", layers={"g*": "paths:HL,LH"})
    made = pwoct.convert(Grouped(), alpha="1/4", layers={"*": "paths:HL,LH"})  # names others, too
    assert not made.g2.spec.widths


def test_choices_are_read_from_a_command_line() -> None:
    assert parse_layers(["a.*=alpha:1/2,paths:HL,LH", "b=plain"]) == {
        "a.*": "alpha:1/2,paths:HL,LH",
        "b": "plain",
    }
    with pytest.raises(ValueError, match="a choice is PATTERN="):
        parse_layers(["a.*"])


@pytest.mark.parametrize(
    ("model", "got"), [(None, "NoneType"), ("resnet20", "str"), (nn.Conv2d, "the class Conv2d"), ({}, "dict")]
)
def test_what_is_no_network(model: Any, got: str) -> None:
    with pytest.raises(ValueError, match=f"^a network must be a torch.nn.Module, got {got}$"):
        pwoct.convert(model, alpha=0.5)


@pytest.mark.parametrize("layers", [5, "a=plain", [5], {"a": 5}, {5: "plain"}, {"a": None}], ids=repr)
def test_what_are_no_layers(layers: Any) -> None:
    with pytest.raises(ValueError, match=r"^layers(\[.*\])? must be a "):
        pwoct.convert(Net(), alpha=0.5, layers=layers)


def test_images_without_a_batch_are_refused() -> None:
    network = pwoct.convert(Net(), alpha=0.5, inputs=tuple(np.array(SHAPE)))
    with pytest.raises(
        ValueError, match=r"must be a batch \(n, c, h, w\), got shape \(\d+, 8, 8\): x\[None\] is"
    ):
        network(torch.zeros(SHAPE[1:]))

"""Names of networks are taken apart in one way, or refused in one line."""

from __future__ import annotations

from typing import Any

import pytest

from costmodel.models.names import parse


@pytest.mark.parametrize(
    ("text", "source", "place", "attribute"),
    [
        ("resnet56", "builtin", "", "resnet56"),
        ("resnet56(alpha='1/4')", "builtin", "", "resnet56"),
        ("package.module:Net.make", "module", "package.module", "Net.make"),
        ("net.py:UNet(64)", "file", "net.py", "UNet"),
        ("dir (old)/net.py:UNet", "file", "dir (old)/net.py", "UNet"),
        ("C:\\nets\\net.py:UNet", "file", "C:\\nets\\net.py", "UNet"),
        ("timm:vit_base_patch16_224.augreg_in21k", "timm", "timm", "vit_base_patch16_224.augreg_in21k"),
        ("torchvision:resnet50(num_classes=10)", "torchvision", "torchvision", "resnet50"),
        ("a/net.pt2", "pt2", "a/net.pt2", ""),
        ("net.ONNX", "onnx", "net.ONNX", ""),
        ("net.py:Net(path='a:b.c')", "file", "net.py", "Net"),
    ],
)
def test_a_name_says_where_its_network_comes_from(text: str, source: str, place: str, attribute: str) -> None:
    name = parse(text)
    assert (name.source, name.place, name.attribute) == (source, place, attribute)


@pytest.mark.parametrize(
    ("text", "arguments", "options"),
    [
        ("n.py:N", (), {}),
        ("n.py:N()", (), {}),
        ("n.py:N(1, -2.5, act='relu', at=(1, 2))", (1, -2.5), {"act": "relu", "at": (1, 2)}),
        ("n.py:N({'a': [None]})", ({"a": [None]},), {}),
    ],
)  # fmt: skip
def test_arguments_are_literals_of_python(text: str, arguments: Any, options: Any) -> None:
    name = parse(text)
    assert (name.arguments, name.options) == (arguments, options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a network is given by a name such as resnet56, .*; got nothing"),
        ("net.py:", "a network is given by a name such as .*; got net.py:"),
        (
            "no such:Net",
            "no such is neither a module, such as package.module, nor a file that ends in .py: .*",
        ),
        ("net.pth", "net.pth holds weights, and weights are never loaded: name the code .*"),
        ("n.py:N(x)", "arguments of a network are Python literals, .*; got n.py:N\\(x\\)"),
        ("n.py:N(f())", "arguments of a network are Python literals.*"),
        ("n.py:N(*[1])", "arguments of a network are Python literals.*"),
        ("n.py:N(**{'a': 1})", "arguments of a network are Python literals.*"),
        ("n.py:N(1)(2)", "arguments of a network are Python literals.*"),
        ("n.py:N(a=1, a=2)", "arguments of a network are Python literals.*"),
        ("n.py:N(" + "[" * 100_000 + ")", "arguments of a network are Python literals.*"),
    ],
)
def test_what_names_no_network_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        parse(text)

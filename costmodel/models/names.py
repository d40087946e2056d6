"""Names of networks: where a network comes from, and the arguments with which it is made."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

LIBRARIES = ("timm", "torchvision")
EXAMPLES = (
    "resnet56, package.module:factory, path/to/net.py:UNet(width=64), timm:resnet50, torchvision:resnet50, "
    "net.pt2, net.onnx or convert(timm:resnet50, alpha=1/4)"
)
_WEIGHTS = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".safetensors")
_CONVERTED = re.compile(r"convert\(.*\)", re.DOTALL)
_RATIO = re.compile(r"^(\s*\w+\s*=\s*)(\d+/\d+)\s*$")
_CALL = re.compile(r"(?:(?P<place>.+?):)?(?P<attribute>[A-Za-z_][\w.\-]*)(?P<arguments>\(.*\))?", re.DOTALL)


@dataclass(frozen=True)
class Name:
    """A parsed network name.

    `source` is one of builtin, module, file, timm, torchvision, pt2, onnx, convert; `place` is the module or
    the path, and `attribute` is what is called there. For `convert`, `place` is the name of the original.
    """

    text: str
    source: str
    place: str = ""
    attribute: str = ""
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """The name that is called, without arguments."""
        return f"{self.place}:{self.attribute}" if self.place else self.attribute


def parse(text: str) -> Name:
    """Parse a network's name.

    Raises ValueError if the text does not name a network, or an argument is not a literal.

    >>> name = parse("nets/unet.py:UNet(64, depth=4)")
    >>> name.source, name.place, name.attribute, name.arguments, name.options
    ('file', 'nets/unet.py', 'UNet', (64,), {'depth': 4})
    >>> parse("timm:resnet50").source, parse("resnet56").source, parse("net.onnx").source
    ('timm', 'builtin', 'onnx')
    """
    text = text.strip()
    if _CONVERTED.fullmatch(text):
        return _converted(text)
    suffix = PurePath(text).suffix.lower()
    if suffix in (".pt2", ".onnx"):
        return Name(text, suffix[1:], text)
    if suffix in _WEIGHTS:
        raise ValueError(
            f"{text} holds weights, and weights are never loaded: name the code that makes the network, "
            "such as net.py:Net"
        )
    if suffix == ".py":
        raise ValueError(f"a file holds many networks: name a class or function in it, as in {text}:Net")
    found = _CALL.fullmatch(text)
    if found is None:
        raise ValueError(f"a network is given by a name such as {EXAMPLES}; got {text or 'nothing'}")
    arguments, options = _arguments(text, found["arguments"] or "()")
    place = found["place"] or ""
    return Name(text, _source(text, place), place, found["attribute"], arguments, options)


def _converted(text: str) -> Name:
    """Parse `convert(timm:resnet50, alpha=1/4)`: a name, then options; ratios need no quotes."""
    first, *rest = _at_commas(text[text.index("(") + 1 : -1])
    options = ",".join(_RATIO.sub(r"\1'\2'", part) for part in rest)
    positional, found = _arguments(text, f"({options})")
    if positional or not first.strip():
        raise ValueError(
            f"a converted network is named such as convert(timm:resnet50, alpha=1/4); got {text}"
        )
    return Name(text, "convert", first.strip(), options=found)


def _at_commas(text: str) -> list[str]:
    """Split a text at the commas outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        depth += not quote and ((character in "([{") - (character in ")]}"))
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _source(text: str, place: str) -> str:
    if not place:
        return "builtin"
    if place in LIBRARIES:
        return place
    if place.endswith(".py"):
        return "file"
    if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", place):
        return "module"
    raise ValueError(
        f"{place} is neither a module, such as package.module, nor a file that ends in .py: {text}"
    )


def _arguments(text: str, call: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    try:
        tree = ast.parse(f"f{call}", mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            raise ValueError
        positional = tuple(map(ast.literal_eval, tree.args))
        options = {_keyword(option): ast.literal_eval(option.value) for option in tree.keywords}
        if len(options) < len(tree.keywords):
            raise ValueError
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise ValueError(
            f"arguments of a network are Python literals, such as (64, depth=4, act='relu'); got {text}"
        ) from None
    return positional, options


def _keyword(option: ast.keyword) -> str:
    if option.arg is None:
        raise ValueError
    return option.arg

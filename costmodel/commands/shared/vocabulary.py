"""The vocabulary of the command line: every option of every command, in one table.

An option that several commands share has the same spelling, meaning and help in all of them. If it takes one
value in some commands and several in others, it has two keys in the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import typer

from costmodel.commands.shared.word import CHOICES, Word
from costmodel.commands.shared.words import TABLE

# Synonyms of spellings in the table. They work everywhere, and no help shows them.
SAME_OPTION: Mapping[str, str] = {
    "figure": "plot",
    "output": "plot",
    "precision": "dtype",
    "seed": "seeds",
    "minimize": "minimise",
    "maximize": "maximise",
}
_DTYPES = {"fp64": "float64", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
SAME_VALUE: Mapping[str, Mapping[str, str]] = {
    "dtype": _DTYPES,
    "computed": _DTYPES,
    "unit": {f"{unit.lower()}s": unit for unit in CHOICES["unit"]},
    "between": {"bn-relu": "bn_relu", "bn+relu": "bn_relu"},
}


_BUILT_IN = re.compile(r"\s*resnet-?(\d+)\s*((?:\(.*)?)", re.IGNORECASE | re.DOTALL)

WORDS: Mapping[str, Word] = {word.key: word for word in TABLE}


def canonical(word: Word, text: str) -> str:
    """Return a value, or a list of values, as the table spells it; unknown values stay unchanged.

    >>> canonical(WORDS["dtypes"], "BF16,float32"), canonical(WORDS["stride-rule"], "b")
    ('bfloat16,float32', 'B')
    """
    if word.choices == "model":
        return ",".join(map(model_name, text.split(",")))
    known = {value.lower(): value for value in word.values()}
    known.update(SAME_VALUE.get(word.choices or "", {}))
    return ",".join(known.get(value.strip().lower(), value) for value in text.split(","))


def model_name(text: str) -> str:
    """Return a model's name in lower case; the path of an external model stays unchanged.

    >>> model_name("ResNet-56"), model_name("Nets.py:ResNet56"), model_name("ResNet-50.onnx")
    ('resnet56', 'Nets.py:ResNet56', 'ResNet-50.onnx')
    """
    found = _BUILT_IN.fullmatch(text)
    return f"resnet{found[1]}{found[2]}" if found else text


def is_built_in(name: str) -> bool:
    """Return whether a name has the form of a built-in network's.

    >>> is_built_in("resnet20"), is_built_in("resnet"), is_built_in("timm:resnet50")
    (True, False, False)
    """
    return _BUILT_IN.fullmatch(name) is not None


def option(key: str, **settings: Any) -> Any:
    """Return an option of the table for typer; settings are typer's own, such as `min`."""
    word = WORDS[key]
    if word.choices:
        settings = {"callback": _reader(word), "autocompletion": _completion(word)} | settings
    elif "min" in settings:
        settings = {"callback": _finite} | settings
    return typer.Option(*word.spellings, help=word.help, **settings)


def argument(key: str, help: str) -> Any:
    """Return an argument whose values are those of an option of the table."""
    word = WORDS[key]
    return typer.Argument(help=help, callback=_reader(word), autocompletion=_completion(word))


def fold(token: str) -> str:
    """Return the spelling of the table for that of an option; the dashes before it are not part of it.

    >>> fold("figure"), fold("width_rule"), fold("alpha")
    ('plot', 'width-rule', 'alpha')
    """
    dashed = token.replace("_", "-")
    return SAME_OPTION.get(dashed, dashed)


def _reader(word: Word) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, str):
            return canonical(word, value)
        return [canonical(word, text) for text in value] if isinstance(value, list) else value

    return read


def _finite(value: Any) -> Any:
    """Reject NaN, which no range excludes, and infinity."""
    if isinstance(value, float) and not isfinite(value):
        raise typer.BadParameter(f"a finite number is needed, got {value}")
    return value


def _completion(word: Word) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{value}" for value in word.values() if value.startswith(last)]

    return complete

"""The configuration of a training run, composed from recipes, files and options."""

import re
import tomllib
from collections.abc import Mapping
from difflib import SequenceMatcher
from fractions import Fraction
from hashlib import sha256
from heapq import nlargest
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pwoct.training.schema import Augmentation, Config, Data, MachineSettings, Model, Optimiser, Schedule
from pwoct.training.text import read_text

__all__ = [
    "RECIPES",
    "Augmentation",
    "Config",
    "ConfigError",
    "Data",
    "MachineSettings",
    "Model",
    "Optimiser",
    "Schedule",
    "compose",
    "default_name",
    "differences",
    "flatten",
    "parse_setting",
    "validated",
]

RECIPES = ("fast", "paper", "keras")
MOST_OF_A_NETWORK = 40  # characters of the network's name that enter a run's name
LONGEST_NAME = 200  # bytes of a run's name: file systems allow 255, and a seed may be appended


class ConfigError(ValueError):
    """A configuration is wrong; the message names the key."""


def compose(
    recipe: str = "fast", *, file: Path | None = None, values: Mapping[str, Any] | None = None
) -> Config:
    """Return the configuration of a recipe, overridden by a TOML file, overridden by dotted keys.

    A file may name its starting recipe with `recipe = "..."`.

    Raises:
        ConfigError: if the recipe is unknown, or a key is unknown or has a wrong value.

    >>> compose("paper", values={"epochs": 10, "model.alpha": 0.25}).model.alpha
    ('1/4',)
    """
    given = {} if file is None else _read(file)
    tree = _recipe(given.pop("recipe", recipe))
    _merge(tree, given)
    for key, value in (values or {}).items():
        _set(tree, key, value)
    return validated(tree)


def validated(tree: Any) -> Config:
    """Return the configuration described by a tree of plain values.

    Raises:
        ConfigError: if a key is unknown or missing, or has a wrong value.
    """
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("; ".join(map(_explain, error.errors()))) from None


def parse_setting(text: str) -> tuple[str, Any]:
    """Return key and value of "key=value"; the value is TOML, or otherwise plain text; "none" unsets.

    Raises:
        ConfigError: if there is no "=".

    >>> parse_setting("optimiser.lr=0.1"), parse_setting("schedule.name=steps")
    (('optimiser.lr', 0.1), ('schedule.name', 'steps'))
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"a setting must be key=value, got {text!r}")
    if value == "none" and key != "model.between":
        return key, None
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def flatten(config: Config) -> dict[str, Any]:
    """Return the configuration as dotted keys.

    >>> flatten(compose("paper"))["optimiser.lr"]
    0.1
    """
    return {
        (f"{name}.{key}" if isinstance(part, dict) else name): value
        for name, part in config.model_dump(mode="json").items()
        for key, value in (part.items() if isinstance(part, dict) else [(name, part)])
    }


def differences(old: Config, new: Config) -> list[str]:
    """Return the dotted keys whose values differ."""
    before, after = flatten(old), flatten(new)
    return [key for key in after if before.get(key) != after[key]]


def default_name(config: Config) -> str:
    """Return a name that states the main differences from the recipe; other changes become a digest.

    >>> default_name(compose("fast", values={"model.alpha": "1/4", "model.paths": "HL,LL"}))
    'resnet20-a0.25-b2-HL.LL-fast-seed0'
    """
    spoken = ("model.name", "model.alpha", "model.beta", "model.paths", "data.dataset", "seed", "epochs")
    flat = flatten(config)
    base = (
        compose(config.recipe, values={key: flat[key] for key in spoken})
        if config.recipe in RECIPES
        else None
    )
    parts = [_name_of(config.model), *_octave_name(config.model), config.recipe]
    if config.data.dataset != "cifar10":
        folder = config.data.folder
        parts.append(config.data.dataset if folder is None else f"folder-{_plain(Path(folder).name)}")
    if base is None or config.epochs != compose(config.recipe).epochs:
        parts.append(f"{config.epochs}ep")
    changed = differences(base, config) if base is not None else sorted(flat.keys() - set(spoken))
    if changed:
        parts.append(sha256(repr([(key, flat[key]) for key in changed]).encode()).hexdigest()[:6])
    return _bounded("-".join([*parts, f"seed{config.seed}"]))


def _name_of(model: Model) -> str:
    """Return a built-in network's name; for an external one, a name valid for folders, with a digest."""
    if not model.is_own:
        return model.name
    short = re.sub(r"[^\s(,]*/(?=[^/\s(,]*\.py)", "", model.name)  # file paths without their folders
    return f"{_plain(short)[:MOST_OF_A_NETWORK].rstrip('-.')}-{sha256(model.name.encode()).hexdigest()[:6]}"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.=+]+", "-", text).strip("-.")


def _bounded(name: str) -> str:
    """Return a name short enough for file systems: the tail of a long name becomes a digest."""
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 13]}-{sha256(name.encode()).hexdigest()[:12]}"


def _octave_name(model: Model) -> list[str]:
    parts = []
    if model.alpha != ("0",):
        parts.append("a" + "+".join(_decimal(value) for value in model.alpha))
    if model.paths != ("",) or model.beta != ("2",):
        parts.append("b" + "+".join(_decimal(value) for value in model.beta))
    if model.paths != ("",):
        parts.append("+".join(value.replace(",", ".") or "none" for value in model.paths))
    return parts


def _decimal(text: str) -> str:
    value = Fraction(text)
    return f"{float(value):g}" if Fraction(f"{float(value):g}") == value else text.replace("/", "_")


def _recipe(name: Any) -> dict[str, Any]:
    if name not in RECIPES:
        raise ConfigError(f"recipe must be one of {', '.join(RECIPES)}, got {name!r}")
    text = (files("pwoct.training") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    return {"recipe": name, **tomllib.loads(text)}


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(file))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file} cannot be read as TOML: {error}") from None


def _merge(tree: dict[str, Any], given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = value


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{section} in {key} is not a section")
    tree[last] = value


def _explain(error: Mapping[str, Any]) -> str:
    """State in one line what was given and what is needed."""
    key = ".".join(map(str, error["loc"])) or "a configuration"
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}: the nearest known ones are {', '.join(_nearest(key))}"
    if error["type"] == "missing":
        return f"{key} is missing"
    reason = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    given = "" if error["type"] == "value_error" else f", got {error['input']!r}"
    return f"{key}{' ' if reason.startswith('must ') else ': '}{reason}{given}"


def _nearest(key: str, count: int = 3) -> list[str]:
    """Return the known keys closest to an unknown one, compared with and without their section."""

    def likeness(known: str) -> float:
        pairs = (known, key), (known.rpartition(".")[2], key.rpartition(".")[2])
        return max(SequenceMatcher(None, *pair).ratio() for pair in pairs)

    return nlargest(count, flatten(compose()), likeness)

"""What a training run is: its configuration, read from recipes in TOML and checked."""

import tomllib
from collections.abc import Mapping
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pwoct.augment import Fill, Normalisation
from pwoct.channels import as_alpha, as_beta, as_paths

RECIPES = ("fast", "paper", "keras")


class ConfigError(ValueError):
    """A configuration is wrong; the message names the key."""


def _one_or_three(value: Any) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if len(values) not in (1, 3):
        raise ValueError(f"must be one value or three, one a stage, got {len(values)}")
    return values[:1] if all(other == values[0] for other in values) else values


def _alphas(value: Any) -> tuple[Any, ...]:
    return _one_or_three(tuple(str(as_alpha(v)) for v in _one_or_three(value)))


def _betas(value: Any) -> tuple[Any, ...]:
    return _one_or_three(tuple(str(as_beta(v)) for v in _one_or_three(value)))


def _paths(value: Any) -> tuple[Any, ...]:
    return _one_or_three(tuple(",".join(as_paths(v)) for v in _one_or_three(value)))


class Section(BaseModel):
    """A part of the configuration: frozen, without keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(Section):
    """The network. alpha, beta and paths: one value, or three, one a stage."""

    name: Annotated[str, Field(pattern=r"^resnet\d{1,5}$")] = "resnet20"
    alpha: Annotated[tuple[str, ...], BeforeValidator(_alphas)] = ("0",)
    beta: Annotated[tuple[str, ...], BeforeValidator(_betas)] = ("2",)
    paths: Annotated[tuple[str, ...], BeforeValidator(_paths)] = ("",)
    width_rule: Literal["out", "in", "min", "mean"] = "out"
    stride_rule: Literal["A", "B", "C"] = "C"
    between: Literal["none", "bn", "bn_relu"] = "none"
    width: Annotated[int, Field(ge=1)] = 16
    freeze_pointwise: bool = False
    plan: Literal["reference"] = "reference"

    @property
    def depth(self) -> int:
        """The number in the name."""
        return int(self.name.removeprefix("resnet"))

    @model_validator(mode="after")
    def _check_depth(self) -> Self:
        if self.depth < 8 or self.depth % 6 != 2:
            raise ValueError(f"depth must be 6n + 2, at least 8, got {self.depth}")
        return self


class Data(Section):
    """The images: which set, how many of its training images, how many of these held out for validation."""

    dataset: Literal["cifar10", "synthetic"] = "cifar10"
    train_images: Annotated[int | None, Field(ge=1)] = None
    validation: Annotated[int, Field(ge=0)] = 0


class Augmentation(Section):
    """Shifts up to a share of the size, what they bring in from outside, mirroring; normalisation."""

    shift: Annotated[float, Field(ge=0, lt=1)]
    fill: Fill
    flip: bool
    normalise: Normalisation


class Optimiser(Section):
    """The update rule; weight_decay is added to the gradient (L2)."""

    name: Literal["sgd", "adam"]
    lr: Annotated[float, Field(gt=0)]
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    decay: Literal["all", "matrices", "convolutions"] = "all"
    clip_norm: Annotated[float | None, Field(gt=0)] = None

    @model_validator(mode="after")
    def _check_momentum(self) -> Self:
        if self.name == "adam" and (self.momentum or self.nesterov):
            raise ValueError("adam has no momentum or nesterov of this kind: leave them out")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class Schedule(Section):
    """The learning rate over the run: warm-up in epochs, then steps at shares of the run, or one cycle."""

    name: Literal["steps", "one_cycle"]
    warmup: Annotated[float, Field(ge=0)] = 0.0
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    factors: tuple[Annotated[float, Field(gt=0)], ...] = ()

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if len(self.milestones) != len(self.factors):
            raise ValueError(
                f"{len(self.milestones)} milestones need as many factors, got {len(self.factors)}"
            )
        if list(self.milestones) != sorted(self.milestones):
            raise ValueError(f"milestones must ascend, got {list(self.milestones)}")
        if self.name == "one_cycle" and self.milestones:
            raise ValueError("one_cycle has no milestones")
        return self


class Machine(Section):
    """What computes. "auto" and 0 are replaced by what is found, before a run starts and is recorded."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0
    ranks: Annotated[int, Field(ge=0)] = 0
    channels_last: bool = True
    compile: bool = False
    sync_bn: bool = False


class Config(Section):
    """Everything that the numbers of a run depend on."""

    recipe: str
    seed: Annotated[int, Field(ge=0)] = 0
    epochs: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ema: Annotated[float | None, Field(gt=0, lt=1)] = None
    model: Model = Model()
    data: Data = Data()
    augmentation: Augmentation
    optimiser: Optimiser
    schedule: Schedule
    machine: Machine = Machine()


def compose(
    recipe: str = "fast", *, file: Path | None = None, values: Mapping[str, Any] | None = None
) -> Config:
    """Return the configuration of a recipe, overridden by a TOML file, overridden by dotted keys.

    A file may name the recipe that it starts from, by `recipe = "..."`.

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
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def parse_setting(text: str) -> tuple[str, Any]:
    """Return key and value of "key=value"; the value is TOML, or else a text; "none" unsets.

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
    """Return a name that says what differs from the recipe; other changes become a digest.

    >>> default_name(compose("fast", values={"model.alpha": "1/4", "model.paths": "HL,LL"}))
    'resnet20-a0.25-b2-HL.LL-fast-seed0'
    """
    from hashlib import sha256

    spoken = ("model.name", "model.alpha", "model.beta", "model.paths", "data.dataset", "seed", "epochs")
    flat = flatten(config)
    base = (
        compose(config.recipe, values={key: flat[key] for key in spoken})
        if config.recipe in RECIPES
        else None
    )
    parts = [config.model.name, *_octave_name(config.model), config.recipe]
    if config.data.dataset != "cifar10":
        parts.append(config.data.dataset)
    if base is None or config.epochs != compose(config.recipe).epochs:
        parts.append(f"{config.epochs}ep")
    changed = differences(base, config) if base is not None else sorted(flat.keys() - set(spoken))
    if changed:
        parts.append(sha256(repr([(key, flat[key]) for key in changed]).encode()).hexdigest()[:6])
    return "-".join([*parts, f"seed{config.seed}"])


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
    text = (files("pwoct") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    return {"recipe": name, **tomllib.loads(text)}


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
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
            raise ConfigError(f"{section} in {key} is no section")
    tree[last] = value


def _explain(error: ValidationError) -> str:
    lines = []
    for part in error.errors():
        where = ".".join(str(step) for step in part["loc"])
        reason = part["msg"].removeprefix("Value error, ")
        given = (
            f", got {part['input']!r}"
            if part["type"] not in ("value_error", "extra_forbidden", "missing")
            else ""
        )
        lines.append(f"{where}: {reason}{given}")
    return "; ".join(lines)

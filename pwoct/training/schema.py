"""The keys of a training configuration, their types and their ranges."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pwoct.channels import as_alpha, as_beta, as_paths
from pwoct.training.augment import Fill, Normalisation


def _one_or_three(value: Any) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if len(values) not in (1, 3):
        raise ValueError(f"must be one value or three, one per stage, got {len(values)}")
    return values[:1] if all(other == values[0] for other in values) else values


def _alphas(value: Any) -> tuple[Any, ...]:
    return _one_or_three(tuple(str(as_alpha(v)) for v in _one_or_three(value)))


def _betas(value: Any) -> tuple[Any, ...]:
    return _one_or_three(tuple(str(as_beta(v)) for v in _one_or_three(value)))


def _paths(value: Any) -> tuple[Any, ...]:
    return _one_or_three(tuple(",".join(as_paths(v)) for v in _one_or_three(value)))


OWN = re.compile(r".*[:(].*|.*\.(pt2|onnx)", re.DOTALL | re.IGNORECASE)
DATASETS = ("cifar10", "cifar100", "synthetic")
FOLDER = "folder:"


def _network(value: Any) -> Any:
    if isinstance(value, str) and OWN.fullmatch(value):
        return value
    match = re.fullmatch(r"resnet([0-9]{1,5})", str(value))
    if match is None or int(match[1]) < 8 or int(match[1]) % 6 != 2:
        raise ValueError(
            f"must be resnetN with N = 6n + 2, n >= 1, such as resnet20 or resnet56, got {value}"
        )
    return value


def _dataset(value: Any) -> Any:
    text = str(value)
    if text not in DATASETS and not text.startswith(FOLDER):
        raise ValueError(f"must be {', '.join(DATASETS)} or folder:DIR, got {value}")
    if text == FOLDER:
        raise ValueError("must name a folder: folder:DIR")
    return text


def _size(value: Any) -> Any:
    """Return (h, w) of 32, "32", "32x48" or a pair."""
    if value is None:
        return None
    parts = list(value) if isinstance(value, list | tuple) else re.split("[xX]", str(value))
    sides = [int(part) if re.fullmatch(r"[0-9]{1,5}", str(part)) else 0 for part in parts]
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise ValueError(f"must be a size such as 32 or 32x48, got {value}")
    return sides[0], sides[-1]


def _recipe(value: Any) -> Any:
    if not isinstance(value, str) or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}", value) is None:
        raise ValueError(f"must be a name of letters, digits and _ . + -, at most 64 of them, got {value}")
    return value


class Section(BaseModel):
    """A section of the configuration: frozen, finite numbers only, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Model(Section):
    """The network. alpha, beta and paths: one value, or three, one per stage.

    A name such as `timm:resnet18`, `net.py:Net(width=8)` or `convert(timm:resnet18, alpha=1/4)` specifies an
    external network completely; the other keys apply only to built-in networks.
    """

    name: Annotated[str, BeforeValidator(_network)] = "resnet20"
    alpha: Annotated[tuple[str, ...], BeforeValidator(_alphas)] = ("0",)
    beta: Annotated[tuple[str, ...], BeforeValidator(_betas)] = ("2",)
    paths: Annotated[tuple[str, ...], BeforeValidator(_paths)] = ("",)
    width_rule: Literal["out", "in", "min", "mean"] = "out"
    stride_rule: Literal["A", "B", "C"] = "C"
    between: Literal["none", "bn", "bn_relu"] = "none"
    shortcut: Literal["A", "B"] = "B"
    width: Annotated[int, Field(ge=1)] = 16
    freeze_pointwise: bool = False

    @property
    def depth(self) -> int:
        """The depth in the network's name."""
        return int(self.name.removeprefix("resnet"))

    @property
    def is_own(self) -> bool:
        """Whether the network is external, not built in."""
        return OWN.fullmatch(self.name) is not None

    @model_validator(mode="after")
    def _check_own(self) -> Self:
        fields = type(self).model_fields
        given = [key for key in fields if key != "name" and getattr(self, key) != fields[key].default]
        if self.is_own and given:
            raise ValueError(
                f"{', '.join(given)} {'applies' if len(given) == 1 else 'apply'} to built-in networks; "
                f"the name of {self.name} must say everything, such as convert({self.name}, alpha=1/4)"
            )
        return self


class Data(Section):
    """The images: the data set, the number of training images, and the number held out for validation.

    `image_size`: (h, w) to which images from a folder are resized and cropped.
    """

    dataset: Annotated[str, BeforeValidator(_dataset)] = "cifar10"
    image_size: Annotated[tuple[int, int] | None, BeforeValidator(_size)] = None
    train_images: Annotated[int | None, Field(ge=1)] = None
    validation: Annotated[int, Field(ge=0)] = 0

    @property
    def folder(self) -> str | None:
        """The folder of images, if the set is one."""
        return self.dataset.removeprefix(FOLDER) if self.dataset.startswith(FOLDER) else None

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if self.image_size is not None and self.folder is None:
            raise ValueError(f"image_size applies only to folder:DIR; images of {self.dataset} have one size")
        return self


class Augmentation(Section):
    """Shifts up to a fraction of the size, the fill of uncovered pixels, mirroring; normalisation."""

    shift: Annotated[float, Field(ge=0, lt=1)]
    fill: Fill
    flip: bool
    normalise: Normalisation


class Optimiser(Section):
    """The update rule.

    weight_decay is added to the gradient (L2); muon shrinks the weights instead. rest_lr is muon's rate for
    all parameters other than convolution weights.
    """

    name: Literal["sgd", "adam", "muon"]
    lr: Annotated[float, Field(gt=0)]
    rest_lr: Annotated[float | None, Field(gt=0)] = None
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    decay: Literal["all", "matrices", "convolutions"] = "all"
    clip_norm: Annotated[float | None, Field(gt=0)] = None

    @model_validator(mode="after")
    def _check_momentum(self) -> Self:
        if self.name == "adam" and (self.momentum or self.nesterov):
            raise ValueError("adam has no momentum or nesterov of this kind: leave them out")
        if self.name == "muon" and self.rest_lr is None:
            raise ValueError("muon needs a rest_lr, the learning rate of all other parameters")
        if self.name != "muon" and self.rest_lr is not None:
            raise ValueError(f"{self.name} has no rest_lr (only muon has): set optimiser.rest_lr=none")
        if self.name == "muon" and not self.nesterov:
            raise ValueError("muon takes only Nesterov steps: nesterov must be true")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class Schedule(Section):
    """The learning rate over the run: warm-up in epochs, then steps at fractions of the run, or one cycle."""

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


class MachineSettings(Section):
    """The hardware and how it is used. "auto" and 0 are replaced by detected values before a run starts."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: Annotated[int, Field(ge=0, le=1024)] = 0  # with many more, OpenMP crashes the process
    ranks: Annotated[int, Field(ge=0)] = 0
    channels_last: bool = True
    compile: bool = False
    plan: Literal["auto", "reference", "lean", "blocked"] = "auto"
    sync_bn: bool = False


class Config(Section):
    """Everything that the numbers of a run depend on."""

    recipe: Annotated[str, BeforeValidator(_recipe)]  # a part of a run's name
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
    machine: MachineSettings = MachineSettings()

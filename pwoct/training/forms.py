"""Schemas of a run's files: keys, types and ranges. A file that does not match is damaged."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from reprlib import Repr
from typing import Annotated, Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


class Form(BaseModel):
    """Strictly typed keys: no text for a number, no NaN. Further keys are ignored."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class Epoch(Form):
    """A line of metrics.jsonl: an epoch, with its accuracy, 0 to 1, on the test set or on held-out images."""

    epoch: Count
    step: Count
    rate: Annotated[float, Field(ge=0)]
    train_loss: float
    train_accuracy: Share
    seconds: Seconds
    images_per_second: Seconds
    evaluation_seconds: Seconds
    test_loss: float | None = None
    test_accuracy: Share | None = None
    validation_loss: float | None = None
    validation_accuracy: Share | None = None

    @model_validator(mode="after")
    def _check_judged(self) -> Self:
        if (self.test_accuracy is None) == (self.validation_accuracy is None):
            raise ValueError("an epoch has either test_accuracy or validation_accuracy")
        return self


class PositionForm(Form):
    """The position of a checkpoint, and the measurements before it."""

    steps_per_epoch: Count
    epoch: Annotated[int, Field(ge=0)]
    step: Annotated[int, Field(ge=0)]
    images: Annotated[int, Field(ge=0)]
    seconds: Seconds
    history: list[dict[str, Any]]
    changes: list[str]


class InputForm(Form):
    """The content of input.json: the images that a run's network takes."""

    classes: Annotated[list[str], Field(min_length=1)]
    shape: Annotated[list[Count], Field(min_length=3, max_length=3)]
    mean: list[Any]
    scale: list[float] | float


class SessionForm(Form):
    """The entry of one session of a run in environment.json."""

    started: str
    versions: dict[str, str]
    cpu: str
    cores: int | None
    machine: dict[str, Any]
    commit: str | None
    data: str


def form_of(kind: type) -> type[Form]:
    """Return the schema with the fields of a dataclass."""
    hints = get_type_hints(kind, include_extras=True)
    defaults = {
        field.name: ... if field.default is MISSING and field.default_factory is MISSING else None
        for field in fields(kind)
    }
    parts: dict[str, Any] = {
        name: (hints[name] if default is ... else hints[name] | None, default)
        for name, default in defaults.items()
    }
    return create_model(f"{kind.__name__}Form", __base__=Form, **parts)


def require(form: type[Form], value: Any) -> None:
    """Check a value against a schema.

    Raises:
        ValueError: naming the first key that is missing or has a wrong value.

    >>> require(SessionForm, {"started": 7})
    Traceback (most recent call last):
    ValueError: started must be a valid string, got 7
    >>> require(SessionForm, [7])
    Traceback (most recent call last):
    ValueError: it must be an object with keys, got [7]
    """
    try:
        form.model_validate(value)
    except ValidationError as error:
        raise ValueError(_first(error.errors()[0])) from None


def _first(error: Mapping[str, Any]) -> str:
    key = ".".join(map(str, error["loc"])) or "it"
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "model_type":
        return f"{key} must be an object with keys, got {_SHORT.repr(error['input'])}"
    reason = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{key} {reason}, got {_SHORT.repr(error['input'])}"

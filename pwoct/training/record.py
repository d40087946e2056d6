"""The folder of a run: its configuration, environment, metrics and result."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pwoct.training import lock
from pwoct.training.checkpoint import NO_LINK, CheckpointError, write_atomically
from pwoct.training.config import Config, ConfigError, validated
from pwoct.training.forms import Count, Epoch, InputForm, Seconds, SessionForm, Share, form_of, require
from pwoct.training.text import read_json, read_text

Metrics = dict[str, Any]


class RunError(ValueError):
    """A run cannot be started or found as requested."""


class BusyError(RunError):
    """Another process is training the run."""


class DamagedError(RunError):
    """A file of a run is missing, unreadable or invalid."""


@dataclass(frozen=True)
class Result:
    """The result of a finished run; `accuracy` is the fraction of test images classified correctly.

    It belongs to the last epoch, or, if images were held out, to the epoch that did best on them.
    """

    name: str
    accuracy: Share
    correct: Annotated[int, Field(ge=0)]
    images: Count
    loss: float
    epoch: Count
    epochs: Count
    chosen_by: str
    parameters: Count
    minutes: Seconds
    seed: int
    config: dict[str, Any]
    data: str
    changes: list[str]
    failures: Annotated[int, Field(ge=0)]
    weights_sha256: str | None = None  # of weights.safetensors; runs of early versions lack it
    unwritten: list[str] = field(default_factory=list)  # files not on disk, if the run is not finished


_RESULT = form_of(Result)


def conflicts(result: Mapping[str, Any], config: Config) -> Iterator[str]:
    """Yield what contradicts itself in a result's headline: its accuracy, its epoch, its seed.

    Raises:
        OverflowError: if it has more images than any run.
    """
    yield from differ(
        "accuracy", result["accuracy"], result["correct"] / result["images"], "correct / images"
    )
    yield from differ("seed", result["seed"], config.seed, "the configuration's")
    yield from differ("epochs", result["epochs"], config.epochs, "the configuration's")
    if result["epoch"] > result["epochs"]:
        yield f"epoch is {result['epoch']} of {result['epochs']}"


def differ(what: str, given: Any, computed: Any, why: str) -> Iterator[str]:
    """Yield a line if a value is not what follows from other values."""
    if given != computed:
        yield f"{what} is {given}, but {computed} is {why}"


class RunFolder:
    """Reads and writes the files of one run; reading a damaged file raises DamagedError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.metrics = path / "metrics.jsonl"
        self.weights = path / "weights.safetensors"
        self._place: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training this run; the lock is released even if the process is killed."""
        with ExitStack() as held:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                held.enter_context(lock.locked(self.path / ".lock"))
            except lock.TakenError:
                raise BusyError(f"{self.path} is being trained by another process") from None
            except OSError as error:
                raise RunError(f"{error.filename} cannot be used: {error.strerror}") from None
            self._place = self._stand()
            yield

    def check_place(self) -> None:
        """Raise CheckpointError if the folder is no longer where it was locked."""
        if self._place is not None and self._stand() != self._place:
            raise CheckpointError(f"{self.path} was moved or removed while it was trained")

    def reopen(self) -> None:
        """Mark the run as unfinished, since it continues."""
        (self.path / "result.json").unlink(missing_ok=True)

    def incomplete(self, result: Result) -> str | None:
        """Return what is missing on disk of a finished run, or None."""
        try:
            weights = self.weights.read_bytes()
        except OSError:
            return f"{self.weights.name} is missing"
        if result.weights_sha256 not in (None, hashlib.sha256(weights).hexdigest()):
            return f"{self.weights.name} does not match its result"
        try:
            epochs = len(self.history())
        except DamagedError as error:
            return str(error)
        return (
            None if epochs == result.epochs else f"{self.metrics.name} has {epochs} epochs of {result.epochs}"
        )

    def write_config(self, config: Config) -> None:
        """Write the effective configuration."""
        self._write("config.json", config.model_dump(mode="json"))

    def config(self) -> Config:
        """Return the effective configuration."""
        tree = self._read("config.json")
        try:
            return validated(tree)
        except ConfigError as error:
            raise self._damaged("config.json", error) from None

    def write_inputs(self, inputs: dict[str, Any]) -> None:
        """Write which images the network takes: their shape, normalisation and classes."""
        self._write("input.json", inputs)

    def inputs(self) -> dict[str, Any] | None:
        """Return what `write_inputs` wrote; None for a run of an early version."""
        if not (self.path / "input.json").exists():
            return None
        inputs: dict[str, Any] = self._read("input.json")
        try:
            require(InputForm, inputs)
        except ValueError as error:
            raise self._damaged("input.json", error) from None
        return inputs

    def add_session(self, facts: dict[str, Any]) -> None:
        """Add a session of this run, with its environment, to environment.json."""
        sessions = self.sessions() if (self.path / "environment.json").exists() else []
        self._write("environment.json", {"sessions": [*sessions, facts]})

    def sessions(self) -> list[dict[str, Any]]:
        """Return the sessions that `add_session` recorded."""
        content = self._read("environment.json")
        sessions = content.get("sessions") if isinstance(content, dict) else None
        if not isinstance(sessions, list) or not sessions:
            raise self._damaged("environment.json", "it must have sessions")
        try:
            for session in sessions:
                require(SessionForm, session)
        except ValueError as error:
            raise self._damaged("environment.json", error) from None
        return sessions

    def rewrite_metrics(self, history: list[Metrics]) -> None:
        """Reset metrics.jsonl to the epochs of a checkpoint."""
        write_atomically(self.metrics, "".join(json.dumps(line) + "\n" for line in history).encode())

    def append_metrics(self, line: Metrics) -> None:
        """Add one epoch to metrics.jsonl."""
        descriptor = os.open(self.metrics, os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_LINK, 0o666)
        with os.fdopen(descriptor, "ab") as file:
            file.write((json.dumps(line) + "\n").encode())

    def complete_metrics(self, history: list[Metrics]) -> None:
        """Write the metrics of all epochs, unless they are already there."""
        try:
            complete = self.history() == history
        except DamagedError:
            complete = False
        if not complete:
            self.rewrite_metrics(history)

    def history(self) -> list[Metrics]:
        """Return the epochs of metrics.jsonl; a truncated last line is ignored."""
        if not self.metrics.exists():
            return []
        try:
            lines = read_text(self.metrics).split("\n")[:-1]
            history: list[Metrics] = [json.loads(line) for line in lines]
            for line in history:
                require(Epoch, line)
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged("metrics.jsonl", error) from None
        return history

    def write_result(self, result: Result) -> None:
        """Mark the run as finished."""
        self._write("result.json", asdict(result))

    def result(self) -> Result | None:
        """Return the result of the run, or None if it is not finished."""
        if not (self.path / "result.json").exists():
            return None
        values = self._read("result.json")
        try:
            require(_RESULT, values)
            validated(values["config"])
        except ValueError as error:
            raise self._damaged("result.json", error) from None
        return Result(**{field.name: values[field.name] for field in fields(Result) if field.name in values})

    def _stand(self) -> tuple[int, int] | None:
        """Return the identity of the folder at this path."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _write(self, name: str, content: Any) -> None:
        write_atomically(self.path / name, (json.dumps(content, indent=1) + "\n").encode())

    def _read(self, name: str) -> Any:
        try:
            return read_json(self.path / name)
        except (OSError, ValueError) as error:
            raise self._damaged(name, error) from None

    def _damaged(self, name: str, why: object) -> DamagedError:
        return DamagedError(f"{self.path / name} is damaged: {why}")

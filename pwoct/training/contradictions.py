"""What contradicts itself in a kept record: every value that follows from other values is computed again.

This finds accidents: a damaged file, a digit changed by hand. It does not find a record that was invented as
a whole; that needs the weights, or a repetition of the run.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from math import isclose
from typing import Annotated, Any

import torch
from pydantic import Field

from pwoct.training.config import Config, ConfigError, validated
from pwoct.training.data import OFFICIAL, RECORDS, TRAINING_IMAGES
from pwoct.training.forms import Epoch, Form, SessionForm, form_of, require
from pwoct.training.networks import build_model
from pwoct.training.record import Result, conflicts, differ
from pwoct.training.schedule import rate_factor
from pwoct.training.schema import Model

SCHEMA = 1  # within one schema number, keys are only ever added
_CLASSES = {"cifar10": 10, "synthetic": 10, "cifar100": 100}
_WIDEST = 2**20  # wider layers have more weights than PyTorch has indices
# If these change within a run, the learning rates of earlier epochs are no longer known.
_OF_THE_RATE = ("epochs", "schedule.", "optimiser.lr")

Record = Mapping[str, Any]


class _Parts(Form):
    version: Annotated[int, Field(alias="schema")]
    sessions: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    weights_sha256: str
    sha256: str


_FORMS = (_Parts, form_of(Result))


def digest(record: Record) -> str:
    """Return the SHA-256 of everything in a record except its own "sha256"."""
    content = {key: value for key, value in record.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def faults(record: Any) -> list[str]:
    """Return the contradictions within a record; none if every number that can be recomputed agrees."""
    try:
        for form in _FORMS:
            require(form, record)
        for name, form in (("metrics", Epoch), ("sessions", SessionForm)):
            if not record[name]:
                return [f"{name} is empty"]
            for part in record[name]:
                require(form, part)
        config = validated(record["config"])
    except (ValueError, ConfigError) as error:
        return [str(error)]
    parts = (_of_content, _of_result, _of_choice, _of_epochs, _of_rates, _of_data, _of_sessions)
    try:
        return [fault for part in parts for fault in part(record, config)]
    except OverflowError:
        return ["a number in it is larger than any run has"]


def disagreements(records: Sequence[Record]) -> list[str]:
    """Return contradictions between records: different data under one name, one run recorded twice."""
    found: list[str] = []
    data: dict[str, tuple[str, str]] = {}
    runs: dict[str, str] = {}
    for record in records:
        name, dataset = record["name"], record["config"]["data"]["dataset"]
        first, fingerprint = data.setdefault(dataset, (name, record["data"]))
        if record["data"] != fingerprint:
            found.append(f"{name} and {first} have different data under the name {dataset}")
        same = runs.setdefault(record["weights_sha256"], name)
        if same != name:
            found.append(f"{name} and {same} have the same weights")
    return found


def _of_content(record: Record, _: Config) -> Iterator[str]:
    if record["schema"] != SCHEMA:
        yield f"schema must be {SCHEMA}, got {record['schema']}"
    if digest(record) != record["sha256"]:
        yield "its sha256 does not match its content"


def _of_result(record: Record, config: Config) -> Iterator[str]:
    """Check the headline, and the values that it repeats from the configuration."""
    yield from conflicts(record, config)
    yield from differ("epochs", record["epochs"], len(record["metrics"]), "the number of lines of metrics")
    if record["unwritten"]:
        yield f"unwritten is {record['unwritten']}, but a finished run has all its files"
    if config.data.dataset in ("cifar10", "cifar100"):
        yield from differ("images", record["images"], RECORDS, "the size of the test set")
    classes = _CLASSES.get(config.data.dataset)
    if classes is None or config.model.is_own:
        return  # neither the images nor the network are available here
    if config.model.width > _WIDEST:
        yield f"its network does not exist: no run has a width above {_WIDEST:,}, got {config.model.width:,}"
        return
    try:
        counted = _parameters(config.model, classes)
    except ValueError as error:  # each option may be right, but not all of them together
        yield f"its network does not exist: {error}"
        return
    yield from differ("parameters", record["parameters"], counted, "those of the network")


@lru_cache(maxsize=64)  # a study has several records of a network
def _parameters(network: Model, classes: int) -> int:
    with torch.device("meta"):
        model = build_model(network, classes, 3)
    return sum(parameter.numel() for parameter in model.parameters())


def _of_choice(record: Record, config: Config) -> Iterator[str]:
    """Check the epoch whose accuracy is the headline: the last, or the first best one on held-out images."""
    lines = record["metrics"]
    held_out = config.data.validation
    chosen = f"{held_out} held-out training images" if held_out else "last epoch"
    yield from differ("chosen_by", record["chosen_by"], chosen, "the configuration's")
    if held_out:
        shares = [line.get("validation_accuracy") or 0.0 for line in lines]
        yield from differ("epoch", record["epoch"], shares.index(max(shares)) + 1, "the best held-out one")
        return
    yield from differ("epoch", record["epoch"], len(lines), "the last")
    yield from differ("accuracy", record["accuracy"], lines[-1].get("test_accuracy"), "of the last epoch")
    if not isclose(record["loss"], lines[-1].get("test_loss") or 0.0, rel_tol=1e-6):
        yield f"loss is {record['loss']}, but {lines[-1].get('test_loss')} in the last epoch"


def _of_epochs(record: Record, config: Config) -> Iterator[str]:
    """Check the positions, image counts and times of every epoch."""
    lines, held_out = record["metrics"], config.data.validation
    which, judges = ("validation", held_out) if held_out else ("test", record["images"])
    steps = lines[0]["step"]
    seen = steps * config.batch
    for number, line in enumerate(lines, 1):
        where = f" in line {number} of metrics"
        yield from differ("epoch" + where, line["epoch"], number, "its place")
        yield from differ("step" + where, line["step"], number * steps, "steps of the epochs so far")
        for share, images in ((line["train_accuracy"], seen), (line.get(f"{which}_accuracy"), judges)):
            if share is None or round(share * images) / images != share:
                yield f"an accuracy{where} is not a fraction of {images} images: {share}"
        if not isclose(line["images_per_second"] * line["seconds"], seen, rel_tol=1e-9):
            yield f"images_per_second{where} is not images / seconds"
    minutes = sum(line["seconds"] + line["evaluation_seconds"] for line in lines) / 60
    if not isclose(record["minutes"], minutes, rel_tol=1e-9):
        yield f"minutes is {record['minutes']}, but the epochs took {minutes}"
    if config.data.dataset == "cifar10":
        count = config.data.train_images or TRAINING_IMAGES - held_out
        yield from differ("step in line 1 of metrics", steps, count // config.batch, "images // batch")


def _of_rates(record: Record, config: Config) -> Iterator[str]:
    if any(key.startswith(_OF_THE_RATE) for key in record["changes"]):
        return  # then earlier epochs had a different schedule, which is no longer known
    steps = record["metrics"][0]["step"]
    for line in record["metrics"]:
        if line["step"] > steps * config.epochs:
            return  # not a step of this schedule; reported elsewhere
        factor = rate_factor(config.schedule, line["step"] - 1, steps, config.epochs)
        if not isclose(line["rate"], config.optimiser.lr * factor, rel_tol=1e-12):
            yield f"the learning rate of epoch {line['epoch']} is not the schedule's: {line['rate']}"


def _of_data(record: Record, config: Config) -> Iterator[str]:
    for session in record["sessions"]:
        if "data" not in record["changes"]:
            yield from differ("data", record["data"], session["data"], "in a session")
    if config.data.dataset == "cifar10":
        yield from differ("data", record["data"], OFFICIAL, "the fingerprint of the official files")


def _of_sessions(record: Record, config: Config) -> Iterator[str]:
    sessions = record["sessions"]
    if sessions[-1]["machine"] != config.machine.model_dump(mode="json"):
        yield "the machine of the last session is not the configuration's"
    started = [session["started"] for session in sessions]
    if invalid := [time for time in started if not _is_time(time)]:
        yield f"a session must have started at a time such as 2026-11-29T12:00:00+00:00, got {invalid[0]}"
    elif any(earlier > later for earlier, later in pairwise(map(datetime.fromisoformat, started))):
        yield "a session started before the one before it"


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False

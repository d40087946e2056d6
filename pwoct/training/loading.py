"""Loads a trained network from its run, with its classes, normalisation and configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pwoct.training.augment import Normalise
from pwoct.training.checkpoint import CheckpointError, newest
from pwoct.training.config import Config
from pwoct.training.data import Dataset
from pwoct.training.inputs import split_validation
from pwoct.training.learner import under
from pwoct.training.networks import build_model
from pwoct.training.record import DamagedError, Result, RunError, RunFolder
from pwoct.training.weights import load_weights, put_into


class Classifier(nn.Module):
    """A trained network with its normalisation: takes images as they are stored.

    images: (n, c, h, w), uint8 or float32, from 0 to 255. Returns logits (n, classes).
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, model: nn.Module, normalise: Normalise) -> None:
        super().__init__()
        self.model = model
        for name, value in (("mean", normalise.mean), ("scale", normalise.scale)):
            self.register_buffer(name, _channels_first(value))

    def forward(self, images: Tensor) -> Tensor:
        """Classify images."""
        logits: Tensor = self.model((images.to(torch.float32) - self.mean) / self.scale)
        return logits


@dataclass(frozen=True)
class TrainedRun:
    """A trained network: `model` in eval mode, whose inputs are normalised images, and its metadata.

    `shape` is an image's shape, (h, w, channels). `result` is None if the run is not finished; then the
    weights are those of its newest checkpoint.
    """

    name: str
    model: nn.Module
    normalise: Normalise
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    config: Config
    result: Result | None

    def classifier(self) -> Classifier:
        """Return the network for images as they are stored, in eval mode."""
        return Classifier(self.model, self.normalise).eval()


def load_run(path: str | Path, dataset: Dataset | None = None) -> TrainedRun:
    """Load the trained network from a run's folder.

    Args:
        path: The run's folder.
        dataset: The training data; needed only for a run without input.json, as early versions wrote it,
        whose folder does not state how images are normalised.

    Raises:
        RunError: if there is no run, or if `dataset` is needed, or differs from the run's data.
        DamagedError: if one of its files is damaged.
        CheckpointError: if its weights are missing, damaged, or not finite.
    """
    run = RunFolder(Path(path))
    if not (run.path / "config.json").is_file():
        raise RunError(f"no run in {path}: it has no config.json")
    config = run.config()
    inputs = run.inputs() or _inputs_from(run, config, dataset)
    model = build_model(config.model, len(inputs["classes"]), inputs["shape"][2], config.seed)
    put_into(model, run_weights(run))
    h, w, channels = inputs["shape"]
    normalise = Normalise(torch.tensor(inputs["mean"]), torch.tensor(inputs["scale"]))
    if normalise.mean.shape not in ((channels,), (h, w, channels)):
        raise DamagedError(f"{path}: the mean of input.json does not fit images of {h} x {w} x {channels}")
    classes, shape = tuple(inputs["classes"]), (h, w, channels)
    return TrainedRun(run.name, model.eval(), normalise, classes, shape, config, run.result())


def _inputs_from(run: RunFolder, config: Config, dataset: Dataset | None) -> dict[str, Any]:
    """Return what `input.json` would say, for a run that has none."""
    if dataset is None:
        raise RunError(
            f"{run.path} has no input.json, like the runs of early versions: its data set must be given"
        )
    if dataset.fingerprint != run.sessions()[-1]["data"]:
        raise RunError(f"{run.path} was trained on different data")
    images, _ = split_validation(config.data, dataset.train)
    normalise = Normalise.fit(images, config.augmentation.normalise)
    return described(normalise, dataset.classes, images.pixels.shape[1:])


def run_weights(run: RunFolder) -> dict[str, Tensor]:
    """Return the weights whose accuracy a run reports; those of its newest checkpoint, if it is not finished.

    Raises:
        CheckpointError: if there are none, or none are complete.
    """
    if (result := run.result()) is not None:
        if (fault := run.incomplete(result)) is not None:
            raise CheckpointError(f"{run.path} is finished, but {fault}: train it again to restore it")
        return load_weights(run.weights)
    checkpoint, _ = newest(run.checkpoints)
    if checkpoint is None:
        raise CheckpointError(f"{run.path} has no checkpoint yet")
    return under("average.", checkpoint.training) or checkpoint.model


def described(normalise: Normalise, classes: tuple[str, ...], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what `input.json` says: classes, shape of an image (h, w, channels), and normalisation."""
    mean, scale = normalise.mean.cpu(), normalise.scale.cpu()
    return {"classes": list(classes), "shape": list(shape), "mean": mean.tolist(), "scale": scale.tolist()}


def _channels_first(value: Tensor) -> Tensor:
    """Return a value that broadcasts against (n, c, h, w) as it did against (n, h, w, c)."""
    if value.dim() == 3:
        return value.permute(2, 0, 1).contiguous()
    return value.view(-1, 1, 1) if value.dim() == 1 else value

"""Re-examines a trained network: loads its weights and evaluates them on the test set."""

from math import isfinite
from pathlib import Path

import torch
from torch import Tensor, nn

from pwoct.training.augment import Normalise
from pwoct.training.checkpoint import CheckpointError
from pwoct.training.config import Config
from pwoct.training.data import Dataset
from pwoct.training.device import settle
from pwoct.training.distributed import Ranks
from pwoct.training.evaluation import Score, evaluate
from pwoct.training.inputs import split_validation
from pwoct.training.loading import run_weights
from pwoct.training.networks import build_model
from pwoct.training.record import RunError, RunFolder
from pwoct.training.weights import load_weights, put_into


def trained_model(config: Config, dataset: Dataset, weights: dict[str, Tensor]) -> nn.Module:
    """Return the network of a configuration with these weights.

    Raises:
        CheckpointError: if the weights belong to a different network.
    """
    model = build_model(config.model, len(dataset.classes), dataset.train.pixels.shape[-1], config.seed)
    put_into(model, weights)
    return model


def examine(
    run: RunFolder, dataset: Dataset, weights: Path | None = None, plan: str | None = None
) -> tuple[nn.Module, Score]:
    """Return a run's network and its score on the test set; `weights` may replace the run's own.

    plan: Execution plan; default: the run's plan, so that the score is the run's own.

    Raises:
        RunError: if there is no such run, or it was trained on different data.
        CheckpointError: if the weights cannot be read or do not fit.
        ValueError: if there is no such plan, or it does not run here.
    """
    config = run.config()
    if dataset.fingerprint != run.sessions()[-1]["data"]:
        raise RunError(f"{run.path} was trained on different data")
    model = trained_model(config, dataset, run_weights(run) if weights is None else load_weights(weights))
    # The device may differ from the run's; the precision is the run's, since it affects the accuracy.
    here = {"device": "auto", "ranks": 0, "threads": 0, "sync_bn": False, "plan": plan or config.machine.plan}
    config = settle(config.model_copy(update={"machine": config.machine.model_copy(update=here)}))
    device = torch.device(config.machine.device)
    images, _ = split_validation(config.data, dataset.train)
    normalise = Normalise.fit(images, config.augmentation.normalise).to(device)
    score = evaluate(
        model.to(device), dataset.test.to(device), normalise, config, len(dataset.classes), Ranks()
    )
    if not isfinite(score.loss):
        raise CheckpointError("with these weights the outputs of the network are not finite")
    return model.cpu(), score

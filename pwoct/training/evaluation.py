"""Exact accuracy: every image counts once, for any batch size and number of ranks."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pwoct.plan import plan_for, with_plan
from pwoct.plan.lean.converted import is_own_network
from pwoct.training.augment import Normalise
from pwoct.training.config import Config
from pwoct.training.data import Images
from pwoct.training.device import autocast, dtype_of
from pwoct.training.distributed import Ranks
from pwoct.training.inputs import as_input

BATCH = 500


@dataclass(frozen=True)
class Score:
    """The result of classifying labelled images: counts `confusion[true, predicted]`, mean cross-entropy."""

    confusion: Tensor
    loss: float

    @property
    def images(self) -> int:
        """The number of images classified."""
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        """The number classified correctly."""
        return int(self.confusion.trace())

    @property
    def accuracy(self) -> float:
        """The fraction classified correctly."""
        return self.correct / self.images

    @property
    def per_class(self) -> list[float]:
        """The fraction of each class that was classified correctly; NaN for a class without images."""
        found: list[float] = (self.confusion.diag() / self.confusion.sum(1)).tolist()
        return found


@torch.no_grad()
def evaluate(
    model: nn.Module, images: Images, normalise: Normalise, config: Config, classes: int, ranks: Ranks
) -> Score:
    """Return the score of `model` on `images`; each rank classifies its share of them.

    The model is computed by the plan of `config`, see `evaluator`.
    """
    was_training = model.training
    height, width = images.pixels.shape[1:3]
    forward = evaluator(model.eval(), config, (height, width)).eval()
    mine = images[ranks.rank :: ranks.size]
    confusion = torch.zeros(classes * classes, dtype=torch.int64)
    loss = torch.zeros(1, dtype=torch.float64)
    for start in range(0, len(mine), BATCH):
        batch = mine[start : start + BATCH]
        with autocast(config):
            logits = forward(as_input(config, normalise(batch.pixels)))
        logits, labels = logits.float().cpu(), batch.labels.cpu()
        confusion += torch.bincount(labels * classes + logits.argmax(1), minlength=classes * classes)
        loss += cross_entropy(logits, labels, reduction="sum").double()
    model.train(was_training)
    confusion, loss = ranks.sum(confusion), ranks.sum(loss)
    return Score(confusion.view(classes, classes), float(loss) / len(images))


def evaluator(model: nn.Module, config: Config, size: tuple[int, int]) -> nn.Module:
    """Return a module that computes `model` for images of `size` (h, w) by the plan of `config`.

    The plan "blocked" has kernels for training only: a `ResNet` that it trains is evaluated by the best plan
    for inference, in the precision of the training.

    Raises:
        ValueError: if the plan cannot compute this network.
    """
    machine, dtype = config.machine, dtype_of(config)
    plan: str = machine.plan
    if plan == "blocked" and is_own_network(model):
        plan = plan_for(model, (BATCH, model.stem.in_channels, *size), dtype, False, machine.device)
    return with_plan(model, plan, size=size, dtype=dtype)

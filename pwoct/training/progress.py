"""The progress of a run, and its measurements so far."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch
from torch import Tensor


@dataclass
class Progress:
    """A position (epoch and step, counted from 0), sums over this epoch, and the epochs before it.

    `totals` is this rank's sum of losses and number of images classified correctly. It stays on the device,
    so that a step need not wait for it.
    """

    steps_per_epoch: int
    epoch: int = 0
    step: int = 0
    images: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    totals: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.float64))

    @classmethod
    def on(cls, device: torch.device, steps_per_epoch: int) -> Self:
        """Return the start of a run on a device."""
        dtype = torch.float32 if device.type == "mps" else torch.float64  # mps has no float64
        return cls(steps_per_epoch, totals=torch.zeros(2, dtype=dtype, device=device))

    @property
    def steps(self) -> int:
        """The number of steps made so far."""
        return self.epoch * self.steps_per_epoch + self.step

    @property
    def loss(self) -> float:
        """Mean training loss of this epoch so far, on this rank."""
        return float(self.totals[0]) / max(self.images, 1)

    @property
    def accuracy(self) -> float:
        """Training accuracy of this epoch so far, on this rank."""
        return float(self.totals[1]) / max(self.images, 1)

    def add(self, loss: Tensor, correct: Tensor, images: int, seconds: float) -> None:
        """Count one more step, from a batch's mean loss and number of images classified correctly."""
        self.totals += torch.stack([loss * images, correct]).to(self.totals.dtype)
        self.images += images
        self.seconds += seconds
        self.step += 1

    def next_epoch(self, metrics: dict[str, Any]) -> None:
        """Close the epoch."""
        self.history.append(metrics)
        self.epoch, self.step, self.images, self.seconds = self.epoch + 1, 0, 0, 0.0
        self.totals.zero_()

    def as_json(self) -> dict[str, Any]:
        """Return everything but the tensor; floats survive JSON exactly."""
        return {name: value for name, value in asdict(self).items() if name != "totals"}

    def restore(self, given: dict[str, Any], totals: Tensor | None) -> None:
        """Restore the state returned by `as_json`, and this rank's sums."""
        for name in self.as_json():
            setattr(self, name, given[name])
        if totals is not None:
            self.totals.copy_(totals)

"""From a configuration to batches: which images, in which order, with which augmentation."""

from pathlib import Path

import torch
from torch import Tensor

from pwoct.training.augment import Normalise, augment, draw_moves
from pwoct.training.cifar100 import load_cifar100
from pwoct.training.config import Config, ConfigError, Data
from pwoct.training.data import DataError, Dataset, Images, load_cifar10
from pwoct.training.distributed import Ranks
from pwoct.training.folders import load_folder
from pwoct.training.streams import stream
from pwoct.training.synthetic import synthetic


def load_dataset(config: Data, where: Path | None = None) -> Dataset:
    """Return the data set that the configuration names; CIFAR-10 and CIFAR-100 are read from `where`.

    Raises:
        DataError: if the images are missing or damaged.
    """
    if config.dataset == "synthetic":
        return synthetic()
    if config.folder is not None:
        return load_folder(Path(config.folder), config.image_size)
    if where is None:
        raise DataError(f"{config.dataset} needs a folder to be read from")
    return load_cifar100(where) if config.dataset == "cifar100" else load_cifar10(where)


def split_validation(config: Data, train: Images) -> tuple[Images, Images | None]:
    """Return the training images and the held-out images, which are the same for every seed.

    Raises:
        ConfigError: if more images are requested than exist.
    """
    count = len(train)
    if config.validation + (config.train_images or 1) > count:
        raise ConfigError(
            f"data: {config.train_images or 1} + {config.validation} images are requested, "
            f"but there are {count}"
        )
    order = torch.from_numpy(stream(0, "validation").permutation(count))
    held, rest = order[: config.validation], order[config.validation :][: config.train_images]
    return train[rest.sort().values], train[held.sort().values] if config.validation else None


class Batches:
    """The batches of every step: a pure function of (seed, epoch, step), for any number of ranks.

    The last incomplete batch of an epoch is dropped; other images are dropped in other epochs.

    Raises:
        ConfigError: if the batch is larger than the set, or is not divisible by the ranks.
    """

    def __init__(self, config: Config, images: Images, normalise: Normalise, ranks: Ranks) -> None:
        if not ranks.size <= config.batch <= len(images) or config.batch % ranks.size:
            multiple = f"a multiple of the {ranks.size} ranks and " if ranks.size > 1 else ""
            raise ConfigError(f"batch must be {multiple}at most {len(images)} images, got {config.batch}")
        self.config, self.images, self.normalise, self.ranks = config, images, normalise, ranks
        self.order: tuple[int, Tensor] = (-1, torch.empty(0))

    def __len__(self) -> int:
        return len(self.images) // self.config.batch

    def indices(self, epoch: int, step: int) -> Tensor:
        """Return the indices of the images in the batch of all ranks."""
        if self.order[0] != epoch:
            order = stream(self.config.seed, "order", epoch).permutation(len(self.images))
            self.order = (epoch, torch.from_numpy(order))
        return self.order[1][step * self.config.batch : (step + 1) * self.config.batch]

    def __call__(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Return this rank's images, float32 (n, c, h, w), and their labels (n,)."""
        how, share = self.config.augmentation, self.ranks.share(self.config.batch)
        draw = stream(self.config.seed, "augmentation", epoch, step)
        size = (self.images.pixels.shape[1], self.images.pixels.shape[2])
        moves = draw_moves(draw, self.config.batch, size, how.shift, how.flip)[share]
        device = self.images.pixels.device
        chosen = self.images[self.indices(epoch, step)[share].to(device)]
        moved = augment(chosen.pixels, moves.to(device), how.fill)
        return as_input(self.config, self.normalise(moved)), chosen.labels


def as_input(config: Config, pixels: Tensor) -> Tensor:
    """Return (n, h, w, c) as (n, c, h, w), in the configured memory format."""
    x = pixels.permute(0, 3, 1, 2)
    return x if config.machine.channels_last else x.contiguous()

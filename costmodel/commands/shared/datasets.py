"""The images of the training commands: their location, and whether they suit a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.commands.shared.errors import require, say
from costmodel.commands.shared.ranks import is_first_rank
from costmodel.commands.shared.reading import sides

if TYPE_CHECKING:
    from pwoct.training.config import Data
    from pwoct.training.data import Dataset


def check_images(images: Dataset, *, classes: int | None, in_channels: int | None, size: str | None) -> None:
    """Check that a network can be trained on images. Raises ValueError if their sizes do not match."""
    h, w, channels = images.test.pixels.shape[1:]
    found = {"classes": len(images.classes), "in-channels": channels, "size": (h, w)}
    asked = {
        "classes": classes,
        "in-channels": in_channels,
        "size": None if size is None else sides(size, "size"),
    }
    for name, value in asked.items():
        if value is not None and value != found[name]:
            has = f"{h}x{w}" if name == "size" else found[name]
            given = size if name == "size" else value
            raise ValueError(f"--{name} {given} does not match the images, which need {has}")


def open_dataset(data: Data, where: Path | None) -> Dataset:
    """Return a data set; by default, CIFAR-10 is read from the cache that `data fetch` fills."""
    from pwoct.training.inputs import load_dataset

    if data.folder is not None:
        require("PIL", "images")
    images = load_dataset(data, data_folder(data.dataset, where))
    if images.note and is_first_rank():
        say(f"pwoct-cost: {images.note}")
    return images


def data_folder(name: str, where: Path | None) -> Path | None:
    """Return the folder of a data set; None if its images are computed.

    Raises:
        ValueError: if a folder is given for images that are computed or that name their own folder.
        DataError: if none is given, and the cache has none.
    """
    from pwoct.training.data import ARCHIVE, DataError
    from pwoct.training.download import default_folder

    if name == "synthetic" and where is not None:
        raise ValueError(f"synthetic images are computed, not read: leave out --data {where}")
    if name.startswith("folder:") and where is not None:
        raise ValueError(f"--dataset {name} says where the images are: leave out --data {where}")
    if name == "cifar100" and where is None:
        raise DataError("CIFAR-100 is read from a local folder: give --data DIR")
    if name == "cifar10" and where is None:
        where = default_folder()
        if not (where / ARCHIVE).is_file():
            raise DataError(
                "CIFAR-10 was not found: run `pwoct-cost data fetch`, or give --data DIR; "
                "or use --dataset synthetic, which needs no data"
            )
    return where

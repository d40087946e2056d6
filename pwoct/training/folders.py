"""Images in folders: train/CLASS/*.png, and test/CLASS/*.png or val/CLASS/*.png; read with Pillow in threads.

All images have one size and are held in memory. Classes are the folders of `train`, sorted by name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pwoct.training.data import DataError, Dataset, Images

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff", ".gif")
GREY, COLOUR = ("1", "L"), ("P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr")
TESTS = ("test", "val")
WORKERS = 8
SHARE = 0.5  # the largest part of the machine's memory that images may fill

Size = tuple[int, int]


@dataclass(frozen=True)
class _File:
    path: Path
    label: int
    size: Size  # (h, w) as stored
    grey: bool


def load_folder(where: Path, size: Size | None = None) -> Dataset:
    """Read the images of a folder.

    Args:
        where: The folder that contains train/ and test/ or val/.
        size: (h, w) that each image is scaled to cover, then centre-cropped to; without it, all images
        must have one size. They get three channels, or one if all of them are greyscale.

    Raises:
        DataError: if something is missing, is not an image, or sizes differ.
    """
    test = next((name for name in TESTS if (where / name).is_dir()), None)
    if not (where / "train").is_dir() or test is None:
        raise DataError(f"{where} must hold train/CLASS/*.png, and test/CLASS/*.png or val/CLASS/*.png")
    classes = tuple(sorted(path.name for path in _folders(where / "train")))
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        parts = [[*pool.map(_opened, _listed(where / part, classes))] for part in ("train", test)]
        files = [file for part in parts for file in part]
        wanted = _one_size(where, files) if size is None else size
        grey = all(file.grey for file in files)
        _check_memory(where, len(files), wanted, 1 if grey else 3)
        images = [_images([*pool.map(lambda f: _pixels(f, wanted, grey=grey), part)], part) for part in parts]
    changed = sum(file.size != wanted for file in files)
    note = (
        f"{where}: {len(parts[0]):,} training and {len(parts[1]):,} test images ({test}/) of {len(classes)} "
        f"classes, {wanted[0]}x{wanted[1]}{', grey' if grey else ''}; {changed:,} of them were resized"
    )
    train, held = images
    return Dataset(f"folder:{where}", train, held, classes, _fingerprint(images, classes), note)


def _folders(where: Path) -> list[Path]:
    found = [path for path in where.iterdir() if path.is_dir() and not path.name.startswith(".")]
    if not found:
        raise DataError(f"{where} must hold a folder per class")
    return found


def _listed(where: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    """Return the files of one part with their labels, by class and name."""
    found: list[tuple[Path, int]] = []
    for folder in sorted(_folders(where)):
        if folder.name not in classes:
            raise DataError(f"{folder}: train/ has no class {folder.name}; it has {', '.join(classes[:5])}")
        own = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
        for path in own:
            if path.suffix.lower() not in ENDINGS:
                raise DataError(f"{path} is not an image: a class holds only {', '.join(ENDINGS[:5])}, ...")
        if not own:
            raise DataError(f"{folder} holds no image")
        found += [(path, classes.index(folder.name)) for path in own]
    return found


def _opened(listed: tuple[Path, int]) -> _File:
    """Read the header of an image file."""
    path, label = listed
    with _image(path) as image:
        if image.mode not in (*GREY, *COLOUR):
            raise DataError(f"{path} has pixels of mode {image.mode}, and needs 8 bits per channel")
        return _File(path, label, (image.height, image.width), image.mode in GREY)


def _image(path: Path) -> Any:
    from PIL import Image

    try:
        return Image.open(path)
    except Exception as error:  # Pillow's decoders raise all kinds of errors on damaged files
        raise DataError(f"{path} cannot be read as an image: {error}") from None


def _pixels(file: _File, size: Size, *, grey: bool) -> np.ndarray:
    """Return uint8 (h, w, c)."""
    from PIL import Image, ImageOps

    with _image(file.path) as image:
        try:
            whole = image.convert("L" if grey else "RGB")
        except Exception as error:  # as above
            raise DataError(f"{file.path} cannot be read as an image: {error}") from None
    if file.size != size:
        whole = ImageOps.fit(whole, (size[1], size[0]), Image.Resampling.BILINEAR)
    pixels: np.ndarray = np.asarray(whole, np.uint8).reshape(*size, 1 if grey else 3)
    return pixels


def _one_size(where: Path, files: Sequence[_File]) -> Size:
    first = files[0]
    other = next((file for file in files if file.size != first.size), None)
    if other is not None:
        names = (
            f"{file.path.relative_to(where)} has {file.size[0]}x{file.size[1]}" for file in (first, other)
        )
        raise DataError(f"{where}: images have several sizes ({', '.join(names)}): give --image-size 32")
    return first.size


def _check_memory(where: Path, count: int, size: Size, channels: int) -> None:
    needed = count * size[0] * size[1] * channels
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):  # Windows
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > SHARE * memory:
        raise DataError(
            f"{where}: {count:,} images of {size[0]}x{size[1]} fill {needed / 1e9:.1f} GB, more than half "
            f"of the memory ({memory / 1e9:.1f} GB): give a smaller --image-size"
        )


def _images(pixels: Sequence[np.ndarray], files: Sequence[_File]) -> Images:
    labels = np.array([file.label for file in files], dtype=np.int64)
    return Images(torch.from_numpy(np.stack(pixels)), torch.from_numpy(labels))


def _fingerprint(parts: Sequence[Images], classes: Sequence[str]) -> str:
    digest = hashlib.sha256("\0".join(classes).encode())
    for part in _content(parts):
        digest.update(part)
    return digest.hexdigest()


def _content(parts: Sequence[Images]) -> Iterator[bytes]:
    for images in parts:
        yield repr(tuple(images.pixels.shape)).encode()
        yield images.pixels.numpy().tobytes()
        yield images.labels.numpy().tobytes()

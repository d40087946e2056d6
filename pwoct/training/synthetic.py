"""A small generated image set that a CNN can learn, so that the trainer runs without any data."""

import hashlib
from functools import lru_cache

import numpy as np
import torch

from pwoct.training.data import Dataset, Images
from pwoct.training.streams import stream

CLASSES, SIZE = 10, 32


@lru_cache(maxsize=4)  # runs of a study in one process share it
def synthetic(train: int = 1280, test: int = 512, size: int = SIZE) -> Dataset:
    """Return images of `CLASSES` smooth, mirror-symmetric patterns, each shifted and covered with noise.

    >>> synthetic(train=20, test=10, size=8).train.pixels.shape
    torch.Size([20, 8, 8, 3])
    """
    patterns = _patterns(size)
    parts = [_images(patterns, count, part) for part, count in enumerate((train, test))]
    digest = hashlib.sha256()
    for images in parts:
        digest.update(images.pixels.numpy().tobytes() + images.labels.numpy().tobytes())
    names = tuple(f"pattern {k}" for k in range(CLASSES))
    return Dataset("synthetic", parts[0], parts[1], names, digest.hexdigest())


def _patterns(size: int) -> np.ndarray:
    """Return float (CLASSES, size, size, 3) of mean 0 and standard deviation 1: sums of a few waves."""
    draw = stream(0, "synthetic")
    grid = np.arange(size) * (2 * np.pi / size)
    patterns: np.ndarray = np.zeros((CLASSES, size, size, 3))
    for fy, fx in ((0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)):
        phase = draw.uniform(0, 2 * np.pi, (CLASSES, 1, 1, 3))
        # cos(fx x) is even, so a mirrored image is still one of its class
        wave = np.cos(fy * grid[:, None, None] + phase) * np.cos(fx * grid[None, :, None])
        patterns += draw.standard_normal((CLASSES, 1, 1, 3)) * wave
    patterns /= patterns.std(axis=(1, 2, 3), keepdims=True)
    return patterns


def _images(patterns: np.ndarray, count: int, part: int) -> Images:
    draw = stream(0, "synthetic", 1 + part)
    labels = np.arange(count) % CLASSES
    size = patterns.shape[1]
    moved = patterns[labels]
    for axis in (1, 2):
        offsets = draw.integers(-size // 16, size // 16 + 1, count)
        index = (np.arange(size) + offsets[:, None]) % size
        shape = [count, 1, 1, 1]
        shape[axis] = size
        moved = np.take_along_axis(moved, index.reshape(shape), axis)
    noisy = 128 + 24 * moved + 40 * draw.standard_normal(moved.shape)
    return Images(torch.from_numpy(noisy.clip(0, 255).astype(np.uint8)), torch.from_numpy(labels))

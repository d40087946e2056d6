"""Folders of small images."""

import numpy as np
from PIL import Image


def pixels(part, label, number, size=(8, 8), grey=False):
    """An image of its own for each place: uint8 (h, w, 3), or (h, w)."""
    draw = np.random.default_rng([len(part), label, number])
    shape = size if grey else (*size, 3)
    return (draw.integers(0, 100, shape) + 100 * (label % 2)).astype(np.uint8)


def write(where, counts, size=(8, 8), grey=False):
    """Write `counts[part][class]` images."""
    for part, classes in counts.items():
        for label, (name, count) in enumerate(sorted(classes.items())):
            folder = where / part / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                image = Image.fromarray(pixels(part, label, number, size, grey))
                image.save(folder / f"{number:03}.png")

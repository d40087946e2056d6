"""Random streams as a pure function of (seed, purpose, position), so that nothing has to be replayed."""

from typing import Literal

import numpy as np

Purpose = Literal["order", "augmentation", "validation", "synthetic"]
_NUMBER = {"order": 0, "augmentation": 1, "validation": 2, "synthetic": 3}


def stream(seed: int, purpose: Purpose, *position: int) -> np.random.Generator:
    """Return the counter-based generator of one purpose at one position, such as (epoch, step).

    >>> bool((stream(0, "order", 3).permutation(9) == stream(0, "order", 3).permutation(9)).all())
    True
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, _NUMBER[purpose], *position])))

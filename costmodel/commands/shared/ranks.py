"""This process's rank among those that train together, from the environment."""

from __future__ import annotations

import os


def ranks_started() -> int:
    """Return the number of processes started together; 1 if the environment has no valid value."""
    text = os.environ.get("WORLD_SIZE", "1")
    return int(text) if text.isdecimal() and len(text) < 10 else 1


def is_first_rank() -> bool:
    """Return whether this process prints; of several, only the first one does."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"

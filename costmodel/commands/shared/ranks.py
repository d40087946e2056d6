"""Which of several processes that train together this is, as their environment says."""

from __future__ import annotations

import os


def ranks_started() -> int:
    """Return how many processes were started together; 1 where the environment says nothing sensible."""
    text = os.environ.get("WORLD_SIZE", "1")
    return int(text) if text.isdecimal() and len(text) < 10 else 1


def is_first_rank() -> bool:
    """Return whether this process is the one of several that speaks; without others it always is."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"

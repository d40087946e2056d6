"""The version that is installed."""

from __future__ import annotations

from importlib.metadata import version


def installed_release() -> str:
    """Return the version of this package, such as 0.1.0."""
    return version("pwoct-cost")

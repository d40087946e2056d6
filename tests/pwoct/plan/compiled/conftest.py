"""What the tests of the library of kernels share: a compiler that is asked anew, and an empty cache."""

import pytest

from pwoct.plan.compiled import library


@pytest.fixture
def forget():
    """Ask the compiler anew, in this test and in the next."""
    clear()
    yield
    clear()


def clear():
    library.why_not.cache_clear()
    library._load.cache_clear()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache; the folder of kernels in it."""
    monkeypatch.setattr(library.pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "pwoct-cost" / "kernels"

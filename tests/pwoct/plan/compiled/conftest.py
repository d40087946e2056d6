"""What the tests of the library of kernels share: a compiler that is asked anew, and an empty cache."""

import pytest

from pwoct.plan.compiled import library


@pytest.fixture
def forget(monkeypatch):
    """Ask the compiler anew for this processor, in this test; and as before in the next."""
    monkeypatch.delenv("PWOCT_MARCH", raising=False)
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

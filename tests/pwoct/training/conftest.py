"""Images for tests of the trainer."""

import pytest

from pwoct.training.synthetic import synthetic

collect_ignore = ["windows.py"]  # a plugin for a process of its own: it hides what this one has imported


@pytest.fixture(scope="module")
def images():
    return synthetic(train=64, test=40, size=16)

"""Images for tests of the trainer."""

import pytest

from pwoct.training.synthetic import synthetic


@pytest.fixture(scope="module")
def images():
    return synthetic(train=64, test=40, size=16)

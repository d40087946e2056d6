"""Images for tests of the trainer."""

import shutil
from functools import partial

import pytest

from pwoct.training.record import RunFolder
from pwoct.training.synthetic import synthetic
from pwoct.training.train import train
from tests.pwoct.training.savers import saver_of
from tests.pwoct.training.tiny import tiny

collect_ignore = ["windows.py"]  # a plugin for a process of its own: it hides what this one has imported


@pytest.fixture(scope="module")
def images():
    return synthetic(train=64, test=40, size=16)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, images):
    """A finished run, to be copied."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    train(tiny(), images, folder)
    return folder


@pytest.fixture
def run(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return RunFolder(tmp_path / "run")


@pytest.fixture
def saver(tmp_path):
    """Makes savers of one run; each stands for a process."""
    return partial(saver_of, tmp_path / "run")


@pytest.fixture(scope="module")
def client():
    """A client of a local cluster of two workers with one thread each."""
    from pwoct.training.cluster import connected

    with connected("local", 1, 2) as (client, threads):
        assert threads == 1
        yield client

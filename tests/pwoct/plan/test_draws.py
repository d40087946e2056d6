"""A network that draws random numbers is not recorded; one beside which another thread draws is."""

import random
import sys
import threading

import pytest
import torch
from torch import nn

from pwoct.plan import why_not, with_plan
from pwoct.plan.graph.draws import draws_here
from tests.pwoct.networks import images, needs_compiler, network

X = torch.zeros(2, 3, 4, 4)


class Calls(nn.Module):
    """Calls a function in its forward pass."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 1), function

    def forward(self, x):
        self.function()
        return self.conv(x)


DRAWS = [
    random.random,
    lambda: random.sample(range(9), 3),
    lambda: random.gauss(0, 1),
    lambda: random.shuffle([1, 2]),
    lambda: random.seed(1),
]


@pytest.fixture
def drawing():
    """Draw in another thread, as the event loop of a Dask worker does."""
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            random.random()

    thread = threading.Thread(target=draw)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    thread.start()
    yield
    stop.set()
    thread.join()
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("function", DRAWS)
def test_a_draw_is_seen(function, drawing):
    assert draws_here(Calls(function), X)


@pytest.mark.parametrize("function", [lambda: None, lambda: random.Random(3).random(), torch.get_num_threads])
def test_other_calls_and_draws_of_other_threads_are_none(function, drawing):
    assert not draws_here(Calls(function), X)


def test_what_cannot_be_watched_is_taken_to_draw():
    assert draws_here(Calls(lambda: 1 / 0), X)
    assert sys.getprofile() is None
    sys.setprofile(lambda *_: None)
    try:
        assert draws_here(Calls(lambda: None), X)
        assert sys.getprofile() is not None
    finally:
        sys.setprofile(None)


@needs_compiler
def test_a_snapshot_is_made_while_another_thread_draws(drawing):
    model = network({"alpha": "1/2"}, depth=8).eval()
    before = random.getstate()
    native = with_plan(model, "native", size=(16, 16))
    assert random.getstate() != before  # the other thread's draws are not taken back
    x = images((16, 16), 16).float()
    torch.testing.assert_close(native(x), model(x), rtol=1e-4, atol=1e-4)


@needs_compiler
@pytest.mark.parametrize("function", DRAWS)
def test_a_network_that_draws_is_refused_and_its_draws_are_taken_back(function):
    model, before = Calls(function).eval(), random.getstate()
    assert why_not("native", model, size=(4, 4)) == "the network draws random numbers"
    assert random.getstate() == before

from itertools import count

from costmodel.speed.stopwatch import Timing, in_turns


def test_runs_take_turns_after_a_round_to_warm_up():
    calls = []
    clock = count().__next__  # one second a look
    timings = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2, clock)
    assert calls == ["a", "b"] * 3
    assert timings == {"a": Timing((1, 1)), "b": Timing((1, 1))}


def test_the_spread_is_that_of_the_quartiles():
    assert Timing((1.0, 2.0, 3.0, 4.0, 5.0)).spread == (4 - 2) / 3
    assert Timing((1.0,)).spread == 0

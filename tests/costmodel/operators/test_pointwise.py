from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.convention import QUANTITIES
from costmodel.operators.pointwise import linear, pointwise
from tests.costmodel.brute_force import Map, Tally


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 3),
    st.booleans(),
)
@settings(max_examples=300)
def test_agrees_with_a_count_of_every_channel(
    c: int, f: int, h: int, w: int, stride: int, bias: bool
) -> None:
    tally = Tally()
    tally.conv(Map(c, h, w), f, (1, 1), (stride, stride), bias=bias)
    cost = pointwise(c, f, (h, w), stride=stride, bias=bias)
    assert {name: getattr(cost, name) for name in QUANTITIES} == {name: tally[name] for name in QUANTITIES}


def test_pointwise_by_hand() -> None:
    cost = pointwise(16, 32, (8, 4), batch=3)
    assert (cost.weights, cost.macs, cost.activations) == (16 * 32, 3 * 16 * 32 * 8 * 4, 3 * 32 * 8 * 4)


def test_the_linear_layer_by_hand() -> None:
    cost = linear(64, 10, batch=2)
    assert cost.params == 64 * 10 + 10
    assert (cost.macs, cost.bias_ops, cost.activations) == (2 * 64 * 10, 2 * 10, 2 * 10)
    assert cost.elements_read == 2 * 64 + 64 * 10 + 10
    assert linear(64, 10, bias=False).params == 64 * 10

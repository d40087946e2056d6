"""Convolutions that share maps are computed together; averages and repeated maps join a convolution."""

import copy
import sys

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from pwoct.octave import Octave, OctConv
from pwoct.plan import with_plan
from pwoct.plan.compiled import operations
from pwoct.plan.compiled.network import NativeNetwork
from pwoct.plan.compiled.operations import Map
from tests.pwoct.networks import images, needs_compiler, network, relative_error, step

pytestmark = [needs_compiler, pytest.mark.usefixtures("one_thread")]


def steps_of(planned):
    if hasattr(planned, "program"):
        return list(planned.program.operations)
    ((recorded, *_),) = planned._recorded.values()
    return [*recorded.forward_operations, *recorded.backward_operations]


def count(planned, name):
    none = 0 if name == "second_channels" else operations.NONE
    return sum(getattr(one, name) > none for one in steps_of(planned))


def compare(model, x, shared, pooled=None):
    """Both plans compute what the module does; `shared` operations are in inference and a training step."""
    planned = with_plan(copy.deepcopy(model).eval(), "native", size=x.shape[2:], dtype=torch.float64)
    with torch.no_grad():
        assert relative_error(planned(x), copy.deepcopy(model).eval()(x)) < 1e-12
    blocked = with_plan(copy.deepcopy(model).train(), "blocked")
    expected = step(copy.deepcopy(model).train(), x)
    for got, wanted in zip(step(blocked, x), expected, strict=True):
        assert relative_error(got, wanted) < 1e-10
    assert (count(planned, "second_channels"), count(blocked, "second_channels")) == shared
    if pooled is not None:
        assert count(planned, "pooled") == pooled


@pytest.mark.parametrize("alpha", ["1/4", "1/2", "3/4"])
@pytest.mark.parametrize("size", [(32, 32), (16, 24)], ids=str)
def test_octave_networks_compute_what_the_modules_compute(alpha, size):
    """The second layers of two stages where low maps have whole tiles: forward, backward, for filters."""
    layers = {(32, 32): 2, (16, 24): 1}[size]
    model = network({"alpha": alpha, "width": 16}, depth=8).double()
    compare(model, images(size, 16), (layers, 3 * layers))


@pytest.mark.parametrize("width", [8, 12, 20])
def test_channels_that_are_no_multiple_of_four_are_shared_in_inference_alone(width):
    model = network({"alpha": "1/2", "width": width}, depth=8).double()
    planned = with_plan(copy.deepcopy(model).eval(), "native", dtype=torch.float64)
    x = images((32, 32), 16)
    with torch.no_grad():
        assert relative_error(planned(x), model.eval()(x)) < 1e-12
    blocked = with_plan(model.train(), "blocked")
    step(blocked, x)
    whole = [channels % 4 == 0 for channels in (width // 2, width)]  # of the first two stages' halves
    assert count(blocked, "second_channels") == 3 * sum(whole)
    assert count(planned, "second_channels") == 2


SAME = (8, 8)


class Reads(nn.Module):
    """A stem, and after `inner` the mean of all pixels."""

    def __init__(self, **convolutions):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        for name, (c_in, c_out) in convolutions.items():
            setattr(self, name, nn.Conv2d(c_in, c_out, 3, padding=1, bias=False))

    def forward(self, x):
        return self.inner(torch.relu(self.stem(x))).mean((2, 3))


class Octaves(Reads):
    """An octave layer by hand, whose high output is computed first."""

    def inner(self, x):
        low, high = avg_pool2d(x, 2), x
        y = torch.relu(self.hh(high) + interpolate(self.lh(low), scale_factor=2.0))
        z = torch.relu(self.ll(low) + self.hl(avg_pool2d(high, 2))) + low
        return avg_pool2d(y, 2) + z


class AddsBias(Octaves):
    """In inference the first output of an operation may have a bias."""

    def __init__(self, path):
        super().__init__(**dict.fromkeys(("hh", "lh", "ll", "hl"), SAME))
        setattr(self, path, nn.Conv2d(*SAME, 3, padding=1))


class NeedsTheOther(Reads):
    """The convolution of the same map is computed before the sum: they cannot be one operation."""

    def inner(self, x):
        across = self.across(x)
        return self.own(x) + self.other(torch.relu(across))


class NeedEachOther(Reads):
    """Two sums, each with a convolution that the other one's sum needs: one of them is shared."""

    def inner(self, x):
        first, second = torch.relu(x), torch.tanh(x)
        a, b = self.a(first), self.b(second)
        y = self.c(first) + self.d(torch.relu(b))
        z = self.e(second) + self.f(torch.relu(y) + a)
        return y + z


class ReadsTwice(Reads):
    """A sum whose terms read one map, as does the third convolution."""

    def inner(self, x):
        return torch.relu(self.own(x) + self.other(x)) * self.across(x)


class PoolsWhatIsRead(Reads):
    """A map that is pooled twice, and read by a convolution and a sum."""

    def inner(self, x):
        y = torch.relu(self.own(x))
        pooled = avg_pool2d(y, 2)
        return interpolate(self.other(pooled) + avg_pool2d(y, 2), scale_factor=2.0) + y + self.across(y)


class ReadsInTwoSums(Reads):
    """Two sums and two other convolutions of one map: each sum is computed with one of these."""

    def inner(self, x):
        y = torch.relu(self.a(x) + self.b(torch.relu(x))) + self.c(x)
        return torch.relu(self.d(x) + self.e(torch.tanh(x))) * self.f(x) * y


class WaitsLong(Reads):
    """The convolution of the same map waits for a sum behind more maps than Python has stack frames."""

    def inner(self, x):
        across, y = self.across(x), x
        for _ in range(sys.getrecursionlimit()):
            y = torch.tanh(y)
        return torch.relu(self.own(x) + self.other(y)) * across


class PoolsATerm(Reads):
    """A sum whose terms have one gradient map until that of the average is added to one of them."""

    def inner(self, x):
        first, second = torch.tanh(self.a(x)), torch.relu(self.b(x))
        pooled = avg_pool2d(second, 2)
        return self.c(first + second) + interpolate(pooled, scale_factor=2.0)


@pytest.mark.parametrize(
    ("model", "shared"),
    [
        (Octaves(hh=SAME, lh=SAME, ll=SAME, hl=SAME), (1, 3)),
        (AddsBias("lh"), (0, 0)),
        (AddsBias("hl"), (1, 0)),
        (NeedsTheOther(own=SAME, other=SAME, across=SAME), (0, 0)),
        (NeedEachOther(**dict.fromkeys("abcdef", SAME)), (1, 3)),
        (ReadsTwice(own=SAME, other=SAME, across=SAME), (1, 3)),
        (PoolsWhatIsRead(own=SAME, other=SAME, across=SAME), (0, 0)),
        (ReadsInTwoSums(**dict.fromkeys("abcdef", SAME)), (2, 6)),
        (PoolsATerm(a=SAME, b=SAME, c=SAME), (0, 0)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_networks_by_hand_compute_what_the_modules_compute(model, shared):
    compare(model.double(), images((16, 16), 16), shared)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_second_output_and_the_average_have_odd_channels(dtype):
    """Also where two channels share a vector."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = OctConv(14, 14, 3, alpha_in=0.5, alpha_out=0.5)
            self.after = OctConv(14, 14, 3, alpha_in=0.5, alpha_out=0)

        def forward(self, x):
            y = self.layer(Octave(x, avg_pool2d(x, 2)))
            return self.after(Octave(torch.relu(y.high), torch.relu(y.low))).high

    model = Odd().eval()
    x = torch.randn(32, 7, 16, 16, generator=torch.Generator().manual_seed(0))
    planned = NativeNetwork(model, (16, 16), dtype, channels=7)
    with torch.no_grad():
        error = relative_error(planned(x), model(x))
    assert error < (1e-5 if dtype == torch.float32 else 2e-2)
    assert count(planned, "second_channels") == 1


def test_a_sum_may_be_far_behind_the_convolution_that_shares_its_map():
    model = WaitsLong(own=SAME, other=SAME, across=SAME).double().eval()
    x = images((4, 4), 16)
    planned = with_plan(copy.deepcopy(model), "native", size=(4, 4), dtype=torch.float64)
    with torch.no_grad():
        assert relative_error(planned(x), model(x)) < 1e-12
    assert count(planned, "second_channels") == 1


def test_images_that_need_no_gradient_have_none():
    """Their gradient may be computed with those of others, but is not kept."""

    class OfImages(Reads):
        def forward(self, x):
            return torch.relu(self.own(x) + self.other(torch.tanh(x))) * self.across(x)

    model = OfImages(own=SAME, other=SAME, across=SAME).double()
    model.stem = nn.Identity()
    x = torch.randn(16, 8, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    blocked = with_plan(copy.deepcopy(model).train(), "blocked")
    for one in (blocked, model):
        one(x).square().sum().backward()
    for got, wanted in zip(blocked.parameters(), model.parameters(), strict=True):
        assert relative_error(got.grad, wanted.grad) < 1e-10
    assert count(blocked, "second_channels") == 3
    ((recorded, *_),) = blocked._recorded.values()
    assert recorded.of_images is None


def one_convolution(**maps):
    source, y = Map(4, 8, 8), Map(4, 8, 8)
    step = operations.step(operations.WINOGRAD_CONVOLUTION, y, {"input": source, **maps}, spread=1)
    return source, y, step


def test_a_repeated_map_joins_a_convolution_unless_its_result_was_read():
    doubled = Map(4, 4, 4)
    _, y, conv = one_convolution()
    last = operations.step(operations.POOLING, doubled, {"input": Map(4, 8, 8)})
    steps = [conv, last]
    assert operations.adds_repeated(steps, y, doubled, 0.25)
    assert steps == [last, conv]
    assert (conv.reads["doubled"], conv.operation.scale, conv.operation.doubled_width) == (doubled, 0.25, 4)
    assert not operations.adds_repeated(steps, y, Map(4, 4, 4), 0.25), "it adds one already"

    _, y, conv = one_convolution()
    steps = [conv, operations.step(operations.POOLING, doubled, {"input": y})]
    assert not operations.adds_repeated(steps, y, doubled, 0.25)
    assert "doubled" not in conv.reads
    assert not operations.adds_repeated(steps, None, doubled, 0.25)
    assert not operations.adds_repeated(steps, doubled, Map(4, 2, 2), 0.25), "pooling adds nothing"


def test_an_average_joins_the_convolution_that_computes_the_map():
    _, y, conv = one_convolution()
    first, second = Map(4, 4, 4), Map(4, 4, 4)
    assert operations.pools([conv], y, first)
    assert conv.outputs == [y, first]
    assert not operations.pools([conv], y, second), "it stores one already"
    assert not operations.pools([conv], first, second)
    _, y, part = one_convolution()
    part.offsets = {"output": 64}
    assert not operations.pools([part], y, first), "it computes a part of the map"

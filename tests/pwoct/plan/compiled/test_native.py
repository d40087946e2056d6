"""The plan "native" computes the function of the reference, however images, threads and memory are cut."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from pwoct.branches import pool, size_of, upsample
from pwoct.plan import with_plan
from pwoct.plan.compiled import network as plan_native
from pwoct.plan.compiled.operations import Map
from pwoct.plan.compiled.program import Program, ProgramRecorder
from pwoct.plan.folded.convolve import Convolution, Geometry
from tests.pwoct.networks import (
    NETWORKS,
    images,
    needs_compiler,
    network,
    relative_error,
    sizes,
    skip_without,
)

DTYPES = [torch.float64, torch.float32, torch.bfloat16]
ERRORS = {torch.float64: 1e-13, torch.float32: 1e-5, torch.bfloat16: 5e-2}

dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)


KERNELS = [
    ((3, 3), Geometry((1, 1))),
    ((3, 3), Geometry((2, 1))),
    ((1, 1), Geometry()),
    ((1, 1), Geometry(stride=(2, 2))),
    ((3, 3), Geometry((1, 1), (2, 2))),
    ((3, 3), Geometry((2, 2), (2, 2), (2, 2))),
    ((3, 1), Geometry((1, 0))),
    ((5, 7), Geometry((2, 3))),
]
CHANNELS = [(1, 1), (3, 5), (7, 2), (4, 9), (5, 15)]
MAP_SIZES = [(6, 9), (1, 1), (7, 4), (6, 8)]


@needs_compiler
@dtypes
@pytest.mark.parametrize(("kernel", "geometry"), KERNELS, ids=str)
@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("size", MAP_SIZES, ids=str)
def test_a_convolution(dtype, kernel, geometry, channels, size):
    skip_without(dtype)
    check_convolution(dtype, kernel, geometry, channels, size)


def check_convolution(dtype, kernel, geometry, channels, size):
    """relu(conv(x) + plus + doubled): `plus` is another convolution of x, `doubled` is `plus` pooled."""
    c_in, c_out = channels
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator).to(dtype)

    x, bias = draw(17, c_in, *size), draw(c_out)
    weights = [draw(c_out, c_in, *kernel) for _ in range(2)]
    plus, y = (
        conv2d(x.double(), weight.double(), None, geometry.stride, geometry.padding, geometry.dilation)
        for weight in weights
    )
    doubled = upsample(pool(plus), size_of(plus))
    expected = torch.relu(y + bias.double()[:, None, None] + plus + doubled)

    recorder, images = ProgramRecorder(dtype), Map(c_in, *size)
    residual = recorder.convolve(images, Convolution(weights[0], None, geometry))
    half = recorder.pool(residual, 2)
    convolution = Convolution(weights[1], bias, geometry)
    result = recorder.convolve(images, convolution, plus=residual, doubled=half, relu=True)
    got = Program(recorder, images, result)(x)
    assert got.shape == expected.shape
    assert (got.double() - expected).abs().max() <= ERRORS[dtype] / 3 * expected.abs().max()


@cache
def computed(name, size):
    """A network, images, and what it computes of them."""
    model = network(NETWORKS[name]).double().eval()
    x = images(size, 19)  # fills no block
    with torch.no_grad():
        return model, x, model(x)


recorded_once = cache(plan_native.record_network)  # for all dtypes


@needs_compiler
@pytest.mark.parametrize("name", NETWORKS)
@sizes
@dtypes
def test_native_is_the_reference(name, size, dtype, monkeypatch):
    skip_without(dtype)
    monkeypatch.setattr(plan_native, "record_network", recorded_once)
    model, x, expected = computed(name, size)
    assert relative_error(with_plan(model, "native", size=size, dtype=dtype)(x), expected) < ERRORS[dtype]


@needs_compiler
@dtypes
def test_an_image_is_computed_alone(dtype):
    """Neither the other images nor the number of threads change a bit."""
    skip_without(dtype)
    native = with_plan(network({"alpha": "1/4"}).eval(), "native", size=(16, 16), dtype=dtype)
    x, threads = images((16, 16), 40), torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3, 7):
            torch.set_num_threads(count)
            results.append(native(x))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(result, results[0]) for result in results)
    assert torch.equal(native(x[5:6]), results[0][5:6])
    assert torch.equal(native(x[20:40]), results[0][20:40])


@needs_compiler
def test_callers_do_not_disturb_each_other():
    native = with_plan(network({"alpha": "1/2"}).eval(), "native", size=(16, 16))
    batches = [images((16, 16), 33) + number for number in range(8)]
    expected = [native(batch) for batch in batches]
    with ThreadPoolExecutor(4) as callers:
        for got, wanted in zip(callers.map(native, batches * 3), expected * 3, strict=True):
            assert torch.equal(got, wanted)


@needs_compiler
def test_native_is_a_snapshot():
    model = network({"alpha": "1/2"}).eval()
    native, x = with_plan(model, "native", size=(16, 16)), images((16, 16))
    before = native(x)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(native(x), before)
    assert not list(native.parameters())
    assert not before.requires_grad


@needs_compiler
@dtypes
def test_what_is_no_number_stays_none(dtype):
    skip_without(dtype)
    x = images((16, 16), 3)
    x[1, 0, 4, 4] = float("nan")
    y = with_plan(network({"alpha": "1/2"}).eval(), "native", size=(16, 16), dtype=dtype)(x)
    assert y.isnan().any(1).tolist() == [False, True, False]


@needs_compiler
def test_no_images():
    native = with_plan(network({}).eval(), "native", size=(16, 16))
    assert native(torch.zeros(0, 3, 16, 16)).shape == (0, 10)


@needs_compiler
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 32, 32), r"made for images \(n, 3, 16, 16\), got \(1, 3, 32, 32\)"),
        ((1, 1, 16, 16), r"made for images \(n, 3, 16, 16\), got \(1, 1, 16, 16\)"),
        ((3, 16, 16), r"made for images \(n, 3, 16, 16\), got \(3, 16, 16\)"),
    ],
)
def test_native_refuses_other_images(shape, message):
    with pytest.raises(ValueError, match=message):
        with_plan(network({}), "native", size=(16, 16))(torch.zeros(shape))


@needs_compiler
def test_images_elsewhere_are_refused():
    with pytest.raises(ValueError, match="computes on the CPU, got images on meta"):
        with_plan(network({}), "native", size=(16, 16))(torch.zeros(1, 3, 16, 16, device="meta"))


@needs_compiler
def test_maps_that_do_not_fit_are_refused():
    recorder = ProgramRecorder(torch.float32)
    one = Convolution(torch.zeros(4, 4, 1, 1), None)
    with pytest.raises(ValueError, match=r"a map of .* = \(4, 8, 8\) can be added, got \(4, 8, 7\)"):
        recorder.convolve(Map(4, 8, 8), one, plus=Map(4, 8, 7))
    with pytest.raises(ValueError, match=r"a map of .* = \(4, 4, 4\) can be added, got \(4, 3, 4\)"):
        recorder.convolve(Map(4, 8, 7), one, doubled=Map(4, 3, 4))


@needs_compiler
def test_groups_are_refused():
    grouped = Convolution(torch.zeros(4, 1, 3, 3), None, Geometry((1, 1), groups=4))
    with pytest.raises(ValueError, match="without groups and with one stride and dilation, got groups 4"):
        ProgramRecorder(torch.float32).convolve(Map(4, 8, 8), grouped)

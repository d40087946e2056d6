"""Networks of every kind that the tests of execution plans compute."""

import os
import shutil

import pytest
import torch
from torch import nn

from pwoct.plan.compiled import library
from pwoct.resnet import resnet

ALL = "HH,HL,LH,LL"
NETWORKS = {
    "plain": {},
    "octave": {"alpha": "1/4"},
    "half": {"alpha": "1/2"},
    "mostly low": {"alpha": "3/4"},
    "low alone": {"alpha": 1},
    "three alphas": {"alpha": ["1", "1/2", "0"]},
    "rising": {"alpha": ["0", "1/2", "1"]},
    "rounded": {"alpha": ["1/3", "2/5", "1/7"]},
    "bottlenecks": {"alpha": "1/2", "paths": ALL},
    "some bottlenecks": {"alpha": "1/4", "paths": "HL,LH,LL", "beta": "3/2"},
    "wide bottlenecks": {"alpha": "1/2", "paths": ALL, "width": 32},
    "normalised bottlenecks": {"alpha": "1/2", "paths": ALL, "between": "bn"},
    "rectified bottlenecks": {"alpha": "1/2", "paths": ALL, "between": "bn_relu"},
    "compressed, one branch": {"alpha": 0, "paths": "HH"},
    "rule A": {"alpha": "3/4", "stride_rule": "A"},
    "rule A, low alone": {"alpha": 1, "stride_rule": "A"},
    "rule A, falling": {"alpha": ["1", "1/2", "1/4"], "stride_rule": "A"},
    "rule A, falling to nothing": {"alpha": ["1/2", "1", "0"], "stride_rule": "A"},
    "zero padding": {"shortcut": "A"},
    "zero padding, two branches": {"alpha": "1/2", "paths": "LL", "shortcut": "A"},
    "rule B": {"alpha": "1/4", "stride_rule": "B", "paths": "HL"},
}
SIZES = [(16, 16), (18, 17), (11, 13)]
cases = pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS.keys())
# Without a compiler the test is skipped, but fails in CI, where it must run.
needs_compiler = pytest.mark.skipif(
    shutil.which(library.compiler()[0]) is None and os.environ.get("CI") != "true",
    reason="what is compiled needs a C++ compiler",
)
sizes = pytest.mark.parametrize("size", SIZES, ids=str)


def network(options, depth=14):
    """A network whose normalisations do something."""
    torch.manual_seed(0)
    return with_statistics(resnet(depth, **{"width": 8, **options}))


def with_statistics(model):
    """The same network, whose normalisations do something now."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    return model


def images(size, n=2):
    x = torch.randn(n, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x.contiguous(memory_format=torch.channels_last)


def skip_without(dtype):
    """Not all processors multiply bfloat16."""
    if dtype == torch.bfloat16 and (reason := library.why_not(dtype)) is not None:
        pytest.skip(f"here {reason}")


def relative_error(got, expected):
    return ((got.double() - expected).abs().max() / expected.abs().max()).item()


def assert_same(results, references, rtol=1e-10, atol=1e-11):
    """Compare tensors one by one, each up to `rtol` of its largest value and `atol`."""
    for got, expected in zip(results, references, strict=True):
        bounds = {"rtol": rtol, "atol": rtol * expected.abs().max().item() + atol}
        alike = got.dtype == expected.dtype and got.shape == expected.shape
        if not (alike and torch.allclose(got, expected, **bounds)):
            torch.testing.assert_close(got, expected, **bounds)  # slower, but it says what differs


def step(forward, x):
    """Return all that a training step leaves: the output, gradients, running statistics."""
    x = x.detach().requires_grad_(True)
    y = forward(x)
    y.square().sum().backward()
    gradients = [p.grad for p in forward.parameters()]
    return [y.detach(), x.grad, *gradients, *(buffer.clone() for buffer in forward.buffers())]

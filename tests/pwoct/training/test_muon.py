"""Muon: what its steps are, by hand and by singular values."""

import pytest
import torch
from torch import nn

from pwoct.training.muon import Muon, orthogonal_all


@pytest.mark.parametrize("form", [(16, 144), (16, 16), (64, 9), (1, 9), (12, 4)])
def test_singular_values_come_near_one(form):
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(3, *form, generator=generator)
    found = torch.stack(orthogonal_all(list(given)))
    height, width = form
    scale = max(1, height / width) ** 0.5
    values = torch.linalg.svdvals(found) / scale
    assert 0.6 < values.min() <= values.max() < 1.3
    # The singular vectors stay: with U S V' given, U' found V is diagonal.
    u, _, v = torch.linalg.svd(given, full_matrices=False)
    turned = u.mT @ found @ v.mT
    assert (turned - torch.diag_embed(turned.diagonal(dim1=-2, dim2=-1))).abs().max() < 1e-4 * scale
    assert torch.allclose(torch.stack(orthogonal_all(list(1e6 * given))), found, atol=1e-4)


def plain_iteration(matrix):
    """Jordan's polynomial five times over, as it is written; height at most width."""
    x = matrix / matrix.norm()
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x - 4.7750 * square @ x + 2.0315 * square @ square @ x
    return x


@pytest.mark.parametrize("rank", [1, 3, 16])
def test_it_is_the_polynomial(rank):
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(16, rank, generator=generator) @ torch.randn(rank, 144, generator=generator)
    expected = plain_iteration(given.double())
    assert torch.allclose(orthogonal_all([given])[0].double(), expected, atol=1e-4)


@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16])
def test_the_default_type_does_not_matter(default):
    given = torch.randn(4, 9)
    (expected,) = orthogonal_all([given])
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        assert orthogonal_all([given])[0].equal(expected)
    finally:
        torch.set_default_dtype(before)


def test_steps_stay_on_the_device_of_their_kernels():
    (found,) = orthogonal_all([torch.empty(4, 2, 3, 3, device="meta")])
    assert (found.device.type, found.shape) == ("meta", (4, 2, 3, 3))


def test_no_gradient_is_no_step():
    assert torch.equal(orthogonal_all([torch.zeros(4, 9)])[0], torch.zeros(4, 9))


def test_kernels_of_many_forms_are_computed_each_by_itself():
    generator = torch.Generator().manual_seed(0)
    forms = [(4, 3, 3, 3), (8, 4, 1, 1), (4, 3, 3, 3), (6, 1, 5, 5), (4, 16, 1, 1), (6, 6, 1, 1)]
    kernels = [torch.randn(*form, generator=generator) for form in forms]
    for kernel, found in zip(kernels, orthogonal_all(kernels), strict=True):
        assert found.shape == kernel.shape
        assert torch.allclose(found, orthogonal_all([kernel])[0], atol=1e-5)


def test_two_steps_by_hand():
    """With gradients g1, g2 and momentum m: the steps are g1 + m g1, then g2 + m (m g1 + g2)."""
    kernel, vector = nn.Parameter(torch.randn(4, 2, 3, 3)), nn.Parameter(torch.randn(5))
    groups = [
        {"params": [kernel], "orthogonal": True, "weight_decay": 0.5},
        {"params": [vector], "lr": 0.2},
    ]
    muon = Muon(groups, lr=0.1, momentum=0.9)
    old_kernel, old_vector = kernel.detach().clone(), vector.detach().clone()
    first, second = ((torch.randn_like(kernel), torch.randn_like(vector)) for _ in range(2))
    for gradients in (first, second):
        kernel.grad, vector.grad = gradients
        muon.step()
    for step in (1.9 * first[0], second[0] + 0.9 * (0.9 * first[0] + second[0])):
        old_kernel = old_kernel * 0.95 - 0.1 * orthogonal_all([step])[0]
    for step in (1.9 * first[1], second[1] + 0.9 * (0.9 * first[1] + second[1])):
        old_vector = old_vector - 0.2 * step
    assert torch.allclose(kernel, old_kernel, atol=1e-5)
    assert torch.allclose(vector, old_vector, atol=1e-6)


def test_what_has_no_gradient_stays():
    moved, still = nn.Parameter(torch.ones(2, 2, 1, 1)), nn.Parameter(torch.ones(2, 2, 1, 1))
    muon = Muon([{"params": [moved, still], "orthogonal": True, "weight_decay": 0.5}], lr=0.1, momentum=0.9)
    moved.grad = torch.randn(2, 2, 1, 1)
    muon.step()
    assert not torch.equal(moved, torch.ones_like(moved))
    assert torch.equal(still, torch.ones_like(still))

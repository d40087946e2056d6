"""The plan "blocked" makes the reference's training step: outputs, gradients, running statistics."""

import copy

import pytest
import torch
from torch import nn

from pwoct.plan import with_plan
from pwoct.plan.native import library
from pwoct.plan.native.blocked import BlockedNetwork
from tests.pwoct.networks import cases, images, needs_compiler, network, relative_error

pytestmark = needs_compiler

SIZE = (16, 16)


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other are slow where other tests have the processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def step(forward, x):
    """Return all that a training step leaves: the output, gradients, running statistics."""
    x = x.detach().requires_grad_(True)
    y = forward(x)
    y.square().sum().backward()
    gradients = [p.grad for p in forward.parameters()]
    return [y.detach(), x.grad, *gradients, *(buffer.clone() for buffer in forward.buffers())]


@cases
@pytest.mark.parametrize("size", [(16, 16), (8, 24)], ids=str)
def test_blocked_is_the_reference(options, size):
    model = network(options).double().train()
    blocked = with_plan(copy.deepcopy(model), "blocked")
    for got, expected in zip(step(blocked, images(size, 24)), step(model, images(size, 24)), strict=True):
        torch.testing.assert_close(
            got, expected, rtol=1e-10, atol=1e-10 * expected.abs().max().item() + 1e-11
        )


@cases
def test_blocked_in_float32(options):
    """Beside float64, as far from it as the reference is: a ReLU near zero may go either way in both."""
    model = network({"width": 16, **options}).train()
    exact = step(copy.deepcopy(model).double(), images(SIZE, 32))
    reference = step(copy.deepcopy(model), images(SIZE, 32).float())
    blocked = step(with_plan(model, "blocked"), images(SIZE, 32).float())
    assert relative_error(blocked[0], exact[0]) < 1e-4

    def error(results):
        norms = [
            ((a.double() - b).norm(), b.double().norm()) for a, b in zip(results[1:], exact[1:], strict=True)
        ]
        return float(sum(off for off, _ in norms) / sum(norm for _, norm in norms))

    assert error(blocked) < 3 * error(reference) + 1e-4


def test_a_step_repeats_to_the_bit():
    torch.set_num_threads(2)
    model = network({"alpha": "1/4", "paths": "HL"})
    results = [step(with_plan(copy.deepcopy(model), "blocked"), images(SIZE, 48).float()) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("count", [2, 3, 64])
def test_threads_share_the_blocks(count):
    model = network({"alpha": "1/2"}, depth=8).double()
    expected = step(with_plan(copy.deepcopy(model), "blocked"), images(SIZE, 40))
    torch.set_num_threads(count)
    for got, wanted in zip(step(with_plan(model, "blocked"), images(SIZE, 40)), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10 * wanted.abs().max().item() + 1e-11)


@cases
@pytest.mark.skipif(library.why_not(torch.bfloat16) is not None, reason="the processor has no AVX-512 BF16")
def test_blocked_under_autocast(options):
    """Beside float64, no further from it than "lean" is under autocast."""
    model = network({"width": 16, **options}).train()
    exact = step(copy.deepcopy(model).double(), images(SIZE, 32))
    errors = []
    for plan in ("lean", "blocked"):
        with torch.autocast("cpu", torch.bfloat16):
            results = step(with_plan(copy.deepcopy(model), plan), images(SIZE, 32).float())
        assert relative_error(results[0], exact[0]) < 2e-1
        off = [(a.double() - b).norm() for a, b in zip(results[1:], exact[1:], strict=True)]
        errors.append(float(sum(off) / sum(b.double().norm() for b in exact[1:])))
    assert 1e-4 < errors[1] < 1.2 * errors[0]  # rounded, and no more than that


def test_autocast_in_another_type_changes_nothing():
    model = network({"alpha": "1/2"})
    results = []
    for enabled in (True, False):
        blocked = with_plan(copy.deepcopy(model), "blocked")
        with torch.autocast("cpu", torch.float16, enabled=enabled):
            results.append(blocked._features(images(SIZE, 32).float()))
    assert torch.equal(*results)
    assert results[0].dtype == torch.float32


def test_evaluation_is_lean():
    model, x = network({"alpha": "1/4"}), images(SIZE, 5).float()
    model.eval()
    assert torch.equal(with_plan(model, "blocked")(x), with_plan(model, "lean")(x))


def test_it_shares_the_parameters_and_the_state_dict():
    model = network({"alpha": "1/2"})
    blocked = with_plan(model, "blocked")
    assert all(p is q for p, q in zip(model.parameters(), blocked.parameters(), strict=True))
    blocked(images(SIZE, 32).float()).sum().backward()
    assert blocked.state_dict().keys() == model.state_dict().keys()
    other = network({"alpha": "1/2"})
    other.load_state_dict(blocked.state_dict())
    with_plan(other, "blocked").load_state_dict(model.state_dict())


def test_no_random_numbers_are_drawn():
    model = network({"alpha": "1/2"})
    before = torch.get_rng_state()
    with_plan(model, "blocked")(images(SIZE, 16).float())
    assert torch.equal(torch.get_rng_state(), before)


def test_new_weights_are_used():
    model = network({"alpha": "1/2"}).double()
    blocked = with_plan(model, "blocked")
    blocked(images(SIZE, 16))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    expected = copy.deepcopy(model)(images(SIZE, 16))
    torch.testing.assert_close(blocked(images(SIZE, 16)), expected, rtol=1e-9, atol=1e-9)


def test_a_copy_trains_its_own_weights():
    blocked = with_plan(network({"alpha": "1/2"}).double(), "blocked")
    step(blocked, images(SIZE, 16))
    twin = copy.deepcopy(blocked)
    twin.zero_grad()
    before = [p.grad.clone() for p in blocked.parameters()]
    got = step(twin, images(SIZE, 16))
    assert all(torch.equal(a, b.grad) for a, b in zip(before, blocked.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, got[2 : 2 + len(before)], strict=True))


def test_what_is_no_number_stays_none():
    """A training that diverges must be seen."""
    model, x = network({"alpha": "1/2"}), images(SIZE, 16).float()
    x[1, 0, 4, 4] = float("nan")
    y = with_plan(model, "blocked")(x)
    y.sum().backward()
    assert y.isnan().all()
    assert model.stem.weight.grad.isnan().all()


def test_frozen_parameters_have_no_gradient():
    model = network({"alpha": "1/2", "paths": "HH,HL,LH,LL"}).double()
    for name, module in model.named_modules():
        if name.endswith((".reduce", ".expand")):
            module.requires_grad_(False)
    twin = copy.deepcopy(model)
    for forward in (model, with_plan(twin, "blocked")):
        forward(images(SIZE, 16)).square().sum().backward()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            torch.testing.assert_close(
                q.grad, p.grad, rtol=1e-9, atol=1e-9 * p.grad.abs().max().item() + 1e-11
            )


def test_passes_keep_their_own_maps():
    """Two batches forward, then backward in turn: as one after the other."""
    model = network({"alpha": "1/2"}).double()
    apart, together = (with_plan(copy.deepcopy(model), "blocked") for _ in range(2))
    batches = [images(SIZE, 16), images(SIZE, 32)]
    for batch in batches:
        apart(batch).square().sum().backward()
    for loss in [together(batch).square().sum() for batch in batches]:
        loss.backward()
    for p, q in zip(apart.parameters(), together.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-12, atol=1e-12)


def test_maps_are_used_once():
    loss = with_plan(network({}), "blocked")(images(SIZE, 16).float()).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="keeps no maps for a second backward pass"):
        loss.backward()


def test_a_pass_without_gradients_gives_its_memory_back():
    blocked = with_plan(network({}), "blocked")
    with torch.no_grad():
        blocked(images(SIZE, 16).float())
    ((recorded, _),) = blocked._steps.values()
    assert len(recorded._memories) == 1


def test_statistics_that_are_not_kept():
    model = network({"alpha": "1/2"}).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
            module.num_batches_tracked = None
    twin = copy.deepcopy(model)
    torch.testing.assert_close(with_plan(twin, "blocked")(images(SIZE, 16)), model(images(SIZE, 16)))


def half_frozen():
    model = network({})
    model.stages[1][0].bn1.eval()
    return model


def grouped():
    model = network({})
    model.stem = nn.Conv2d(3, 9, 3, padding=1, groups=3, bias=False)
    return model


def biased():
    model = network({})
    model.stem = nn.Conv2d(3, 8, 3, padding=1)
    return model


def large():
    model = network({})
    model.stem = nn.Conv2d(3, 8, 5, padding=2, bias=False)
    return model


def synchronised():
    return nn.SyncBatchNorm.convert_sync_batchnorm(network({}))


@pytest.mark.parametrize(
    ("model", "x", "message"),
    [
        (network({}), images(SIZE, 17).float(), "batches of a multiple of 16 images, got 17"),
        (network({}), images(SIZE, 0).float(), "batches of a multiple of 16 images, got 0"),
        (network({"alpha": "1/2"}), images((18, 17), 16).float(), "even sizes pooled by 2, got 18 x 17 by 2"),
        (grouped(), images(SIZE, 16).float(), "1x1 or 3x3 convolutions without groups, got Conv2d.*groups=3"),
        (large(), images(SIZE, 16).float(), r"1x1 or 3x3 convolutions without groups, got Conv2d.*\(5, 5\)"),
        (biased(), images(SIZE, 16).float(), "convolutions without bias, got Conv2d"),
        (synchronised(), images(SIZE, 16).float(), "BatchNorm2d with parameters and momentum, got SyncBatch"),
        (half_frozen(), images(SIZE, 16).float(), "normalisations that are all in training, or all in eval"),
        (network({}).half(), images(SIZE, 16).half(), "parameters in float32 or float64, got torch.float16"),
    ],
)
def test_what_it_refuses(model, x, message):
    with pytest.raises(ValueError, match=f'the plan "blocked" needs {message}'):
        BlockedNetwork(model)(x)

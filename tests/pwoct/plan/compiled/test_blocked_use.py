"""How the plan "blocked" is used: threads, copies, several passes, interruptions, other parameters."""

import copy
import ctypes
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import torch.nn.utils.prune
from torch import nn

from pwoct.plan import with_plan
from pwoct.plan.compiled import library
from pwoct.plan.compiled.training import TrainingStep
from tests.pwoct.networks import images, needs_compiler, network, step

pytestmark = [needs_compiler, pytest.mark.usefixtures("one_thread")]

SIZE = (16, 16)


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


def sum_by_three_threads():
    """Add up what a training step and inference compute by as many threads of three as there are."""
    torch.set_num_threads(3)
    model, x = network({"alpha": "1/2"}, depth=8).double(), images((16, 16), 40)
    native = with_plan(copy.deepcopy(model).eval(), "native", size=(16, 16))
    results = [*step(with_plan(model, "blocked"), x), native(x.float())]
    torch.set_num_threads(1)
    return float(sum(result.double().abs().sum() for result in results))


def test_threads_are_those_of_pytorch():
    """Another OpenMP's would wait for work by spinning, too; so elsewhere than on Linux there is none."""
    assert hasattr(library.load(), "omp_get_num_threads") == (sys.platform == "linux")
    if sys.platform == "linux":
        pytorch = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        addresses = {
            ctypes.cast(kernels.omp_get_num_threads, ctypes.c_void_p).value
            for kernels in (library.load(), pytorch)
        }
        assert len(addresses) == 1


def test_fewer_threads_than_were_asked_for():
    """Whoever limits OpenMP gets the same numbers."""
    limited = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import *; print(sum_by_three_threads().hex())"],
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        cwd=Path(__file__).parents[4],
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    ).stdout
    assert float.fromhex(limited) == pytest.approx(sum_by_three_threads(), rel=1e-6)


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


@pytest.mark.parametrize("how", ["assigned", "replaced", "frozen"])
def test_other_parameters_are_used(how):
    model = network({"alpha": "1/2"}).double()
    blocked = with_plan(model, "blocked")
    step(blocked, images(SIZE, 16))
    if how == "assigned":
        state = {name: value + 0.1 for name, value in model.state_dict().items()}
        blocked.load_state_dict(state, assign=True)
    elif how == "replaced":
        blocked.stem = model.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False).double()
    else:
        model.stem.requires_grad_(False)
    blocked.zero_grad()
    twin = copy.deepcopy(model)
    twin.zero_grad()
    for forward in (blocked, twin):
        forward(images(SIZE, 16)).square().sum().backward()
    for p, q in zip(twin.parameters(), blocked.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            torch.testing.assert_close(q.grad, p.grad, rtol=1e-9, atol=1e-9)


def test_a_layer_that_changes_is_seen():
    """Pruned, with another momentum, in another type: as if it had been so from the first step on."""
    model = network({"alpha": "1/2"})
    blocked, x = with_plan(model, "blocked"), images(SIZE, 16)
    blocked(x.float())
    model.double()
    torch.testing.assert_close(blocked(x[:8]), copy.deepcopy(model)(x[:8]), rtol=1e-9, atol=1e-9)
    model.stem_bn.eps = 0.5
    torch.testing.assert_close(blocked(x), copy.deepcopy(model)(x), rtol=1e-9, atol=1e-9)
    model.stem_bn.momentum = None
    with pytest.raises(ValueError, match="BatchNorm2d with parameters and momentum"):
        blocked(x)
    model.stem_bn.momentum = 0.1
    nn.utils.prune.l1_unstructured(model.stem, "weight", 0.5)
    with pytest.raises(ValueError, match='stem has hooks or its own forward; use the plan "lean"'):
        blocked(x)


def test_it_can_be_saved(tmp_path):
    blocked = with_plan(network({"alpha": "1/2"}).double(), "blocked")
    expected = step(blocked, images(SIZE, 16))
    torch.save(blocked, tmp_path / "blocked.pt")
    loaded = torch.load(tmp_path / "blocked.pt", weights_only=False)
    loaded.zero_grad()
    assert torch.equal(step(loaded, images(SIZE, 16))[0], expected[0])


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


def test_batches_of_several_sizes():
    """As a loop over all images makes them, where the last batch of an epoch is smaller."""
    model = network({"alpha": "1/2"}).double()
    blocked = with_plan(copy.deepcopy(model), "blocked")
    for n in (16, 8, 16, 16, 8, 8, 24, 16):
        x = images(SIZE, n)
        got, expected = step(blocked, x), step(model, x)
        assert torch.allclose(got[0], expected[0], rtol=1e-9)
        for parameter in (*blocked.parameters(), *model.parameters()):
            parameter.grad = None


def test_passes_of_several_kinds():
    """Without gradients, in inference mode, under autocast, with the images' gradient; then as before."""
    blocked, x = with_plan(network({"alpha": "1/2"}), "blocked"), images(SIZE, 16).float()
    expected = blocked(x)
    with torch.inference_mode():
        assert torch.equal(blocked(x), expected)
    with torch.no_grad():
        assert torch.equal(blocked(x), expected)
    with torch.autocast("cpu", torch.bfloat16):
        blocked(x).sum().backward()
    assert torch.equal(step(blocked, x)[0], expected)
    assert torch.equal(blocked(x), expected)


def test_callers_do_not_disturb_each_other():
    blocked = with_plan(network({"alpha": "1/2"}), "blocked")
    torch.set_num_threads(2)
    batches = [images(SIZE, 32).float() + number for number in range(6)]
    expected = [blocked(batch) for batch in batches]
    with ThreadPoolExecutor(3) as callers:
        for got, wanted in zip(callers.map(blocked, batches), expected, strict=True):
            assert torch.equal(got, wanted)


def test_an_interrupted_backward_pass_is_not_repeated(monkeypatch):
    loss = with_plan(network({}), "blocked")(images(SIZE, 16).float()).sum()
    monkeypatch.setattr(TrainingStep, "_run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        loss.backward(retain_graph=True)
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="was interrupted; its maps are lost"):
        loss.backward()


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
    ((recorded, _),) = blocked._recorded.values()
    assert sum(map(len, recorded._memories._free.values())) == 1
    step(blocked, images(SIZE, 16).float())


def test_statistics_that_are_not_kept():
    model = network({"alpha": "1/2"}).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
            module.num_batches_tracked = None
    twin = copy.deepcopy(model)
    torch.testing.assert_close(with_plan(twin, "blocked")(images(SIZE, 16)), model(images(SIZE, 16)))

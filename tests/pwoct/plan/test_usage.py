"""Plans used in unusual ways: traced, transformed, copied, changed, without images. Right, or refused."""

import copy
import io
import re

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from pwoct.plan import PLANS, BlockedNetwork, LeanNetwork, with_plan
from pwoct.plan.compiled import program
from pwoct.plan.compiled.layout import layout_of
from pwoct.plan.compiled.training import SIZES
from pwoct.plan.folded.network import FoldedNetwork
from tests.pwoct.networks import images, needs_compiler, network, relative_error, step

pytestmark = [
    needs_compiler,
    pytest.mark.usefixtures("one_thread"),
    # PyTorch's own tracers warn of each other.
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]

SIZE = (16, 16)
KERNELS = ("blocked", "native")


def planned(plan, **options):
    model = network({"alpha": "1/2", **options}, depth=8).train(plan == "blocked")
    return model, with_plan(model, plan, size=SIZE)


def refuses(tracer):
    return pytest.raises(RuntimeError, match=f'cannot be traced by {tracer}.*: use the plan "lean"$')


def trace(forward, x):
    return torch.jit.trace(forward, x, check_trace=False)


def compile_(forward, x):
    whole = isinstance(forward, LeanNetwork | FoldedNetwork) and not isinstance(forward, BlockedNetwork)
    return torch.compile(forward, backend="aot_eager", fullgraph=whole)


def export(forward, x):
    return torch.export.export(forward, (x,)).module()


def functional_trace(forward, x):
    return make_fx(forward)(x)


WAYS = [
    (trace, r"torch\.jit\.trace"),
    (compile_, r"torch\.compile or torch\.export"),
    (export, r"torch\.compile or torch\.export"),
    (functional_trace, "make_fx"),
]


@pytest.mark.parametrize(("way", "tracer"), WAYS)
@pytest.mark.parametrize("plan", PLANS[1:])
def test_traced(plan, way, tracer):
    _, forward = planned(plan)
    x, other = images(SIZE, 16).float(), images(SIZE, 16).float() + 1
    if plan in KERNELS:
        with refuses(tracer):
            way(forward, x)(x)
        return
    with torch.no_grad():
        torch.testing.assert_close(way(forward, x)(other), forward(other), rtol=1e-4, atol=1e-5)


def test_a_compiled_training_step_is_the_reference():
    model, x = network({"alpha": "1/2"}, depth=8), images(SIZE, 2).float()
    twin = copy.deepcopy(model)
    compiled = torch.compile(with_plan(twin, "lean"), backend="aot_eager", fullgraph=True)
    compiled(x).square().sum().backward()
    model(x).square().sum().backward()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert relative_error(q.grad, p.grad.double()) < 1e-3


@pytest.mark.parametrize("plan", PLANS)
def test_tensors_without_data(plan):
    _, forward = planned(plan)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        x = mode.from_tensor(images(SIZE, 16).float())
        if plan in KERNELS:
            with refuses("a FakeTensorMode"):
                forward(x)
        else:
            assert isinstance(forward(x), FakeTensor)
    if plan in KERNELS:
        with refuses("FakeTensor"):
            forward(x)


@pytest.mark.parametrize("plan", PLANS)
def test_functional_calls(plan):
    model, forward = planned(plan)
    x, others = images(SIZE, 16).float(), {name: p.detach() + 0.1 for name, p in model.named_parameters()}
    if plan == "blocked":
        with pytest.raises(
            ValueError, match=r'weights that are parameters themselves.*; use the plan "lean"$'
        ):
            torch.func.functional_call(forward, others, (x,))
    elif plan in ("folded", "native"):
        with pytest.raises(AttributeError) as raised:
            torch.func.functional_call(forward, others, (x,))
        assert f'the plan "{plan}" is a snapshot without parameters' in str(raised.value.__cause__)
    else:
        got = torch.func.functional_call(forward, others, (x,))
        torch.testing.assert_close(got, torch.func.functional_call(model, others, (x,)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("transform", [
    lambda f, x: torch.func.grad(lambda x: f(x).square().sum())(x),
    lambda f, x: torch.func.vmap(f)(x.view(2, 8, 3, *SIZE)),
    lambda f, x: torch.func.jvp(f, (x,), (x,))[1],
], ids=["grad", "vmap", "jvp"])  # fmt: skip
def test_transformed(plan, transform):
    model, forward = planned(plan)
    x = images(SIZE, 16).float()
    if plan in (*KERNELS, "folded"):
        with pytest.raises(RuntimeError, match=r'torch\.func.*: use the plan "lean"$'):
            transform(forward, x)
        return
    expected = transform(copy.deepcopy(model).double(), x.double())
    assert relative_error(transform(forward, x), expected) < 1e-4


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("how", ["pickled", "copied"])
def test_copies_compute_the_same(plan, how):
    model, forward = planned(plan)
    x = images(SIZE, 16).float()
    expected = forward(x)
    if how == "copied":
        twin = copy.deepcopy(forward)
    else:
        file = io.BytesIO()
        torch.save(forward, file)
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    assert torch.equal(twin(x), expected)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(twin(x), expected)


def test_a_snapshot_for_another_processor_is_refused(monkeypatch):
    _, forward = planned("native")
    kept = forward.program.__getstate__()
    monkeypatch.setattr(program, "_processor", lambda: "another one")
    with pytest.raises(
        ValueError, match="made for kernels of another processor or version: load the network's"
    ):
        forward.program.__setstate__(kept)


@pytest.mark.parametrize("plan", ["reference", "lean", "blocked"])
def test_backward_hooks_of_the_plan_are_called(plan):
    _, forward = planned(plan)
    seen = []
    forward.register_full_backward_hook(lambda *_: seen.append(True))
    step(forward, images(SIZE, 16).float())
    assert seen == [True]


@pytest.mark.parametrize("alpha", [0, "1/2", "3/4"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("plan", PLANS)
def test_no_images(plan, training, alpha):
    _, forward = planned(plan, alpha=alpha)
    forward.train(training)
    x = images(SIZE, 0).float()
    if plan == "blocked" and training:
        with pytest.raises(ValueError, match=r'multiple of .* images, got 0; use the plan "lean"$'):
            forward(x)
        return
    assert forward(x).shape == (0, 10)


def strided(model):
    block = model.stages[1][0]
    block.conv1.stride = block.shortcut.stride = (1, 1)


def dilated(model):
    model.stages[0][0].conv2.dilation = model.stages[0][0].conv2.padding = (2, 2)


def octave_strided(model):
    block = model.stages[1][0]
    for layer in (block.conv1, block.shortcut):
        layer.stride = 1
        for module in layer.modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)


def other_module(model):
    model.stages[0][0].conv1 = copy.deepcopy(model.stages[0][0].conv2)


def frozen(model):
    model.stem.requires_grad_(False)


def flattened(model):
    model.stages[0][0].bn1.eps = 0.5


@pytest.mark.parametrize(("options", "change"), [
    ({"alpha": 0}, strided),
    ({"alpha": 0}, dilated),
    ({"alpha": "1/2"}, octave_strided),
    ({"alpha": 0}, other_module),
    ({"alpha": 0}, frozen),
    ({"alpha": 0}, flattened),
])  # fmt: skip
@pytest.mark.parametrize("plan", ["lean", "blocked"])
def test_what_changes_after_a_step_is_computed(plan, options, change):
    model, x = network(options, depth=8).double(), images(SIZE, 8)
    forward = with_plan(model, plan)
    step(forward, x)
    change(model)
    forward.zero_grad()
    twin = copy.deepcopy(model)
    for got, expected in zip(step(forward, x), step(twin, x), strict=True):
        if expected is not None:
            torch.testing.assert_close(
                got, expected, rtol=1e-9, atol=1e-9 * expected.abs().max().item() + 1e-11
            )


def test_a_changed_between_is_seen():
    model, x = network({"alpha": "1/2", "paths": "LL", "between": "bn"}, depth=8).double(), images(SIZE, 8)
    forward = with_plan(model, "blocked")
    step(forward, x)
    model.stages[1][0].conv1.ll.between = "bn_relu"
    forward.zero_grad()
    twin = copy.deepcopy(model)
    for got, expected in zip(step(forward, x), step(twin, x), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9 * expected.abs().max().item() + 1e-11)
    model.stages[1][0].conv1.ll.between = "none"
    with pytest.raises(ValueError, match=re.escape('ll has between = "none", which does not fit its norm')):
        forward(x)


def test_steps_are_kept_for_the_latest_sizes():
    model, forward = planned("blocked")
    for side in range(8, 72, 8):
        x = images((side, side), 16).float()
        torch.testing.assert_close(forward(x), model(x), rtol=1e-3, atol=1e-3)
        assert len(forward._recorded) <= SIZES
    assert [recorded.images.height for recorded, _ in forward._recorded.values()] == [40, 48, 56, 64]


def test_a_step_is_recorded_once():
    model, forward = planned("blocked")
    x = images(SIZE, 16).float()
    forward(x)
    (first,) = forward._recorded.values()
    model.stem_bn.momentum = 0.3  # read at each step
    forward(x)
    assert list(forward._recorded.values()) == [first]
    assert layout_of(model) == layout_of(model)

"""The plan "lean" computes a converted network's outputs and gradients, with the same parameters."""

import pytest
import torch
from torch import nn

from pwoct import build, convert
from pwoct.plan import LeanConverted, plan_for, why_not, with_plan
from tests.pwoct.conversion.networks import KINDS, Net, Residual


def converted(kind, **options):
    torch.manual_seed(0)
    given = {"alpha": "1/2", "paths": "HL,LH", "inputs": (1, 3, 9, 11), **options}
    return convert(kind(), **given).double()


def outputs_and_gradients(forward, model, x):
    model.zero_grad()
    y = forward(x)
    (y * torch.arange(y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    return [y.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("rule", ["C", "A"])
def test_lean_computes_what_the_network_does(kind, rule):
    model = converted(kind, stride_rule=rule).eval()
    lean = with_plan(model, "lean")
    assert isinstance(lean, LeanConverted)
    assert lean.state_dict().keys() == model.state_dict().keys()
    x = torch.randn(2, 3, 9, 11, dtype=torch.float64)
    expected, found = (outputs_and_gradients(f, model, x) for f in (model, lean))
    assert len(found) == len(expected) > 4
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-9, atol=1e-9)


def test_narrow_low_paths_are_joined():
    """The layers in which lean does something else than the reference: 12 of 16 channels are low."""

    class Wide(Net):
        def __init__(self):
            super().__init__(16)
            self.a, self.b = nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.Conv2d(16, 16, 3, 1, 1, bias=False)
            self.c = nn.Conv2d(16, 16, 3, 1, 1, bias=False)

        def body(self, x):
            return self.c(self.b(torch.relu(self.bn(self.a(x)))))

    model = converted(Wide, alpha="3/4", paths="none").eval()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    expected, found = (outputs_and_gradients(f, model, x) for f in (model, with_plan(model, "lean")))
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-9, atol=1e-9)
    assert any(not torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_the_network_stays_as_it_is():
    model = converted(Residual)
    lean = with_plan(model, "lean")
    lean.eval()
    assert not model.training
    assert not model.a.training
    lean.train()
    assert model.training
    x = torch.randn(1, 3, 9, 11, dtype=torch.float64)
    lean(x)
    assert "convolve" not in vars(model.a)


def test_a_layer_with_a_hook_is_left_to_the_reference():
    model = converted(Net)
    model.a.register_forward_hook(lambda *_: None)
    assert plan_for(model, (2, 3, 8, 8), torch.float32, training=True) == "reference"
    assert why_not("lean", model) == "a has hooks or its own forward"
    with pytest.raises(
        ValueError, match=r'"lean" does not compute this network: a has hooks .* use the plan "re'
    ):
        with_plan(model, "lean")


def test_a_converted_resnet_is_a_converted_network():
    model = convert(build("resnet8"), alpha="1/2", inputs=(1, 3, 32, 32))
    assert plan_for(model, (2, 3, 32, 32), torch.float32, training=True) == "lean"
    assert isinstance(with_plan(model, "lean"), LeanConverted)
    reason = "a converted network is computed by native, blocked, lean or reference"
    assert why_not("folded", model) == reason
    with pytest.raises(ValueError, match=reason):
        with_plan(model, "folded")
    assert plan_for(nn.Linear(1, 1), (2, 3, 8, 8), torch.float32, training=True) == "reference"

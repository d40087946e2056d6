import copy
import io
import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from pwoct.branches import Octave
from pwoct.octave import OctConv
from pwoct.pwise_octave import Bottleneck
from pwoct.resnet import ResNet, build, resnet
from tests.pwoct.networks import needs_compiler

ALL = ("HH", "HL", "LH", "LL")
ALL_BUT_HH = ("HL", "LH", "LL")
OPTIONS = {
    "plain": {},
    "oct": {"alpha": 0.25},
    "pwise": {"alpha": 0.5, "paths": ALL, "between": "bn_relu"},
    "low alone": {"alpha": 1, "paths": ("LL",)},
    "compressed, without low": {"paths": ("HH",)},
    "by stage": {"alpha": (0, 0.5, 1), "beta": (2, 3, 4), "paths": (("HH",), (), ALL), "stride_rule": "B"},
}


def test_resnet_1202_runs():
    model = resnet(1202, alpha=0.5, width=2).eval()
    assert len(model.stages[0]) == len(model.stages[1]) == len(model.stages[2]) == 200
    with torch.inference_mode():
        assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("size", [32, 17, 5])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_any_input_size(options, size):
    model = resnet(8, width=8, classes=7, in_channels=2, **options)
    logits = model(torch.randn(2, 2, size, size + 1))
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("rule", ["A", "B", "C"])
def test_stride_rules_reach_the_layers(rule):
    model = resnet(8, alpha=0.5, stride_rule=rule, width=8)
    layers = [m for m in model.modules() if isinstance(m, OctConv) and m.stride == 2]
    assert len(layers) == 4  # two stage changes: a 3x3 and a shortcut each
    assert {m.stride_rule for m in layers} == {rule}


class TestStructure:
    def test_plain_has_plain_modules(self):
        model = resnet(14)
        assert not any(isinstance(m, OctConv) for m in model.modules())
        names = {name for name, _ in model.named_modules()}
        assert {"stem", "stem_bn", "stages.1.0.shortcut", "stages.2.1.conv2", "fc"} <= names
        assert "stages.0.0.shortcut" not in names
        assert isinstance(model.get_submodule("stages.1.0.conv1"), nn.Conv2d)

    def test_low_channels_of_every_layer(self):
        model = resnet(14, alpha=(0.25, 0.5, 0.75))
        alphas = {
            name: (float(m.alpha_in), float(m.alpha_out))
            for name, m in model.named_modules()
            if isinstance(m, OctConv)
        }
        assert alphas == {
            "stages.0.0.conv1": (0, 0.25),
            "stages.0.0.conv2": (0.25, 0.25),
            "stages.0.1.conv1": (0.25, 0.25),
            "stages.0.1.conv2": (0.25, 0.25),
            "stages.1.0.conv1": (0.25, 0.5),
            "stages.1.0.conv2": (0.5, 0.5),
            "stages.1.0.shortcut": (0.25, 0.5),
            "stages.1.1.conv1": (0.5, 0.5),
            "stages.1.1.conv2": (0.5, 0.5),
            "stages.2.0.conv1": (0.5, 0.75),
            "stages.2.0.conv2": (0.75, 0.75),
            "stages.2.0.shortcut": (0.5, 0.75),
            "stages.2.1.conv1": (0.75, 0.75),
            "stages.2.1.conv2": (0.75, 0),
        }

    def test_compressed_paths_of_every_layer(self):
        model = resnet(14, alpha=0.5, beta=(2, 3, 4), paths=(("HL",), "hh,LL", ALL))
        compressed = {
            name: {path.upper() for path, m in layer.named_children() if isinstance(m, Bottleneck)}
            for name, layer in model.named_modules()
            if isinstance(layer, OctConv)
        }
        first, last = compressed.pop("stages.0.0.conv1"), compressed.pop("stages.2.1.conv2")
        assert (first, last) == (set(), set())
        for name, paths in compressed.items():
            stage = int(name.split(".")[1])
            expected = [{"HL"}, {"HH", "LL"}, set(ALL)][stage]
            assert paths == (set() if name.endswith("shortcut") else expected), name
        betas = [model.get_submodule(f"stages.{s}.0.conv2").beta for s in range(3)]
        assert betas == [2, 3, 4]

    def test_the_shortcut_of_a_last_block_that_changes_stage(self):
        model = resnet(8, alpha=0.5)
        assert model.get_submodule("stages.2.0.shortcut").alpha_out == 0
        assert model.get_submodule("stages.2.0.conv2").alpha_out == 0

    def test_no_convolution_has_a_bias(self):
        model = resnet(14, alpha=0.5, paths=ALL)
        assert all(m.bias is None for m in model.modules() if isinstance(m, nn.Conv2d))
        assert model.fc.bias is not None

    def test_alpha_zero_where_another_stage_has_low_channels(self):
        model = resnet(8, alpha=(0, 0.5, 0))
        assert [name for name, _ in model.get_submodule("stages.0.0.conv1").named_children()] == ["hh"]

    def test_paths_without_channels_leave_the_network_plain(self):
        assert not any(isinstance(m, OctConv) for m in resnet(8, paths=ALL_BUT_HH).modules())


def zero(block):
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 21}, r"depth must be 6n \+ 2 with n of at least 1, such as 20 or 56, got 21"),
        ({"depth": 2}, r"depth must be 6n \+ 2 .*, got 2"),
        ({"depth": 20.0}, r"depth must be 6n \+ 2 .*, got 20.0"),
        ({"alpha": 1.5}, r"alpha must be in \[0, 1\], got 1.5"),
        ({"alpha": (0.5, 0.5)}, r"alpha must be one value or three, one per stage, got 2: \[0.5, 0.5\]"),
        ({"beta": (2, 2, 2, 2)}, "beta must be one value or three, one per stage, got 4"),
        ({"paths": ((), ())}, "paths must be one value or three, one per stage, got 2"),
        ({"beta": 0.5}, "beta must be at least 1, got 0.5"),
        (
            {"beta": 17, "paths": ALL},
            "beta must be at most the layer's output channels, got beta = 17 and 16",
        ),
        ({"paths": "HH,XY"}, "paths must be among HH, HL, LH, LL, got 'XY'"),
        ({"stride_rule": "D"}, "stride_rule must be one of A, B, C, got 'D'"),
        ({"width_rule": "max"}, "width_rule must be one of out, in, min, mean, got 'max'"),
        ({"between": "gelu"}, "between must be one of none, bn, bn_relu, got 'gelu'"),
        ({"shortcut": "C"}, "shortcut must be one of A, B, got 'C'"),
        ({"shortcut": "A", "stride_rule": "A"}, "shortcut A .* needs stride rule C, got A"),
        ({"shortcut": "A", "alpha": 0.5}, "low branch has 16 channels before a stage change and 0 after it"),
        ({"depth": 14, "shortcut": "A", "alpha": (1, 0.5, 0.5)}, "the high branch has 0 channels before"),
        ({"width": 0}, "width must be an integer of at least 1, got 0"),
        ({"classes": 0}, "classes must be an integer of at least 1, got 0"),
        ({"in_channels": -3}, "in_channels must be an integer of at least 1, got -3"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        resnet(**({"depth": 8} | options))


def test_unknown_model():
    message = r"^model must be resnetN with N = 6n \+ 2 and n of at least 1, such as resnet20, .*, got "
    for name in ("resnet50x", "resnet2", "resnet21", "vgg16", "resnet", "resnet-20"):
        with pytest.raises(ValueError, match=message + name):
            build(name)
    for name in (20, None, ["resnet20"], b"resnet20"):
        with pytest.raises(ValueError, match=message + re.escape(str(name)) + "$"):
            build(name)
    assert len(build("resnet8", width=4).stages[0]) == 1


def small(**options):
    torch.manual_seed(0)
    return resnet(8, width=8, **({"alpha": 0.5, "paths": ALL_BUT_HH} | options)).eval()


class TestUse:
    """What users do with a module."""

    def test_deepcopy(self):
        model, x = small(), torch.randn(2, 3, 9, 9)
        twin = copy.deepcopy(model)
        assert torch.equal(model(x), twin(x))
        zero(twin)
        assert not torch.equal(model(x), twin(x))

    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    def test_state_dict_round_trip_through_a_file(self, options):
        model, twin = resnet(8, width=8, **options).eval(), resnet(8, width=8, **options).eval()
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        file.seek(0)
        twin.load_state_dict(torch.load(file, weights_only=True))
        x = torch.randn(2, 3, 9, 9)
        assert torch.equal(model(x), twin(x))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_low_precision(self, dtype):
        model, x = small(), torch.randn(4, 3, 12, 12)
        expected = model(x)
        y = copy.deepcopy(model).to(dtype)(x.to(dtype))
        assert y.dtype == dtype
        # eight layers, each off by a few roundings of the largest value
        bound = 16 * torch.finfo(dtype).eps * expected.abs().max().item()
        torch.testing.assert_close(y.float(), expected, rtol=0, atol=bound)

    def test_autocast(self):
        model, x = small(), torch.randn(2, 3, 9, 9)
        with torch.autocast("cpu", torch.bfloat16):
            assert model(x).dtype == torch.bfloat16

    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    def test_channels_last_is_kept_through_all_layers(self, options):
        model = resnet(8, width=8, **options).eval().to(memory_format=torch.channels_last)
        seen = []

        def look(module, inputs, output):
            seen.extend(t for t in (output if isinstance(output, Octave) else [output]) if t is not None)

        for module in model.modules():
            if not isinstance(module, ResNet | nn.Linear):
                module.register_forward_hook(look)
        x = torch.randn(2, 3, 16, 16)
        y = model(x.contiguous(memory_format=torch.channels_last))
        assert len(seen) > 20
        assert all(t.is_contiguous(memory_format=torch.channels_last) for t in seen)
        torch.testing.assert_close(y, copy.deepcopy(model)(x), rtol=1e-4, atol=1e-5)

    def test_meta_device(self):
        with torch.device("meta"):
            model = resnet(8, alpha=0.5)
        assert model(torch.empty(2, 3, 9, 9, device="meta")).shape == (2, 10)

    def test_export_with_any_batch_and_multiples_of_eight(self):
        model = small()
        n, h, w = (torch.export.Dim(name, min=2, max=64) for name in "nhw")
        exported = torch.export.export(
            model, (torch.randn(3, 3, 24, 32),), dynamic_shapes=({0: n, 2: 8 * h, 3: 8 * w},)
        )
        x = torch.randn(5, 3, 16, 40)
        torch.testing.assert_close(exported.module()(x), model(x))

    def test_export_at_an_odd_size(self):
        model, x = small(stride_rule="B"), torch.randn(2, 3, 9, 11)
        exported = torch.export.export(model, (x,))
        torch.testing.assert_close(exported.module()(x), model(x))

    @pytest.mark.parametrize(("rule", "size"), [("A", (9, 11)), ("C", (16, 8))])
    def test_onnx(self, rule, size):
        onnxruntime = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
        model = small(stride_rule=rule)
        batch = torch.export.Dim("batch")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
            program = torch.onnx.export(
                model, (torch.randn(2, 3, *size),), dynamo=True, dynamic_shapes=({0: batch},), verbose=False
            )
        session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
        x = torch.randn(5, 3, *size)
        (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        np.testing.assert_allclose(y, model(x).detach().numpy(), rtol=1e-4, atol=1e-5)

    @needs_compiler
    # torch's own import of what it deprecates
    @pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
    def test_compile(self):
        model, x = small(), torch.randn(2, 3, 9, 9)
        compiled = torch.compile(model, fullgraph=True)
        with torch.no_grad():
            torch.testing.assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("alpha", [(1, 1, 1), (0, 1, 0.5), (1, 0, 1), (0.5, 1, 0), (1, 0.5, 1)])
@pytest.mark.parametrize("rule", ["A", "B", "C"])
def test_the_size_of_the_images_is_kept_where_a_stage_has_no_high_branch(alpha, rule):
    """35 -> 18 -> 9 and 28 -> 14 -> 7: what the last block leaves, whichever branches there were before."""
    model = resnet(8, alpha=alpha, stride_rule=rule, width=8).eval()
    high = []
    model.stages[2].register_forward_hook(lambda _module, _inputs, y: high.append(y.high))
    model(torch.zeros(1, 3, 35, 28))
    assert high[0].shape == (1, 32, 9, 7)


def test_a_block_without_a_high_input_is_told_its_size_or_doubles():
    block = resnet(8, alpha=(1, 1, 0), width=8).stages[2][0].eval()
    low = Octave(None, torch.zeros(1, 16, 9, 9))
    assert block(low).high.shape[-2:] == (10, 10)  # low: 9 -> 5, doubled
    assert block(low, (17, 18)).high.shape[-2:] == (9, 9)
    with pytest.raises(ValueError, match=r"^the high output's size must be that of LH, doubled, or one less"):
        block(low, (21, 18))

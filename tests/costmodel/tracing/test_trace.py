"""What runs is what counts: hand values for layers, subclasses, functional code, and shared parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from costmodel.tracing import TraceError, trace
from tests.costmodel.tracing.functions import Function, run


class Twice(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + super().forward(x)


class Same(nn.Conv2d):
    """Pads by itself, as TensorFlow does."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias)


class LowRank(nn.Linear):
    """A linear layer with an update of rank 2."""

    def __init__(self) -> None:
        super().__init__(8, 6, bias=False)
        self.a, self.b = nn.Parameter(torch.zeros(2, 8)), nn.Parameter(torch.zeros(6, 2))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x @ self.a.T @ self.b.T


LAYERS = [
    (nn.Conv1d(2, 4, 3, padding=1), (1, 2, 5), 4 * 5 * 2 * 3),
    (nn.Conv2d(4, 8, 3, groups=4, dilation=2, stride=2), (2, 4, 9, 9), 2 * 8 * 3 * 3 * 1 * 9),
    (nn.Conv2d(2, 4, 4, padding="same", padding_mode="reflect"), (1, 2, 5, 5), 4 * 25 * 2 * 16),
    (nn.Conv3d(2, 4, 3), (1, 2, 5, 5, 5), 4 * 27 * 2 * 27),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, output_padding=1), (1, 4, 5, 5), 4 * 25 * 3 * 9),
    (nn.Linear(16, 8), (2, 10, 16), 2 * 10 * 16 * 8),
    (nn.LSTM(8, 4, num_layers=2, bidirectional=True), (5, 2, 8), 2 * 2 * 10 * 16 * (8 + 4)),
    (nn.LSTM(8, 4, proj_size=3), (5, 2, 8), 10 * (16 * (8 + 3) + 4 * 3)),
    (nn.GRU(8, 4), (5, 2, 8), 10 * 12 * (8 + 4)),
    (nn.RNN(8, 4), (5, 2, 8), 10 * 4 * (8 + 4)),
    (nn.LSTMCell(8, 4), (2, 8), 2 * 16 * (8 + 4)),
    (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (1, 5, 8), 5 * 4 * 64 + 2 * 5 * 5 * 8 + 1280),
    # From here on: what other tools take for the class that it is derived from.
    (Twice(2, 4, 3), (1, 2, 5, 5), 1296),
    (Same(2, 4, 3), (1, 2, 4, 4), 1152),
    (LowRank(), (3, 8), 228),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "macs"), LAYERS)
def test_macs_of_layers(layer: nn.Module, shape: tuple[int, ...], macs: int) -> None:
    traced = run(layer, shape)
    assert traced.total().macs == macs
    assert traced.uncovered() == ()
    assert traced.route == "fake"


FUNCTIONS = {
    "einsum": (lambda x: torch.einsum("bchw,bcwk->bchk", x, x), 4 * 8 * 8 * 8),
    "einsum that only sums": (lambda x: torch.einsum("bchw->bc", x), 0),
    "attention": (lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), 2 * 4 * 8 * 8 * 8),
    "grouped heads": (
        lambda x: F.scaled_dot_product_attention(x, x[:, :2], x[:, :2], enable_gqa=True),
        2 * 4 * 8 * 8 * 8,
    ),
    "bilinear": (
        lambda x: F.bilinear(x, x, torch.zeros(3, 8, 8), torch.zeros(3)),
        32 * 3 * (8 * 8 + 8),
    ),
    "mv": (lambda x: x @ torch.zeros(8), 32 * 8),
    "affine_grid": (lambda x: F.affine_grid(x[:, 0, :2, :3], [1, 3, 8, 9], align_corners=False), 6 * 8 * 9),
    "affine_grid in 3 dimensions": (
        lambda x: F.affine_grid(x[:, 0, :3, :4], [1, 3, 5, 8, 9], align_corners=True),
        12 * 5 * 8 * 9,
    ),
    "pdist": (lambda x: F.pdist(x[0, 0]), 8 * 7 // 2 * 8),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_macs_of_functions(name: str) -> None:
    function, macs = FUNCTIONS[name]
    traced = run(Function(function), (1, 4, 8, 8))
    assert traced.total().macs == macs
    assert traced.uncovered() == ()


FREE: dict[str, Callable[[Tensor], Any]] = {
    "hardswish": F.hardswish,
    "glu": lambda x: F.glu(x, 1),
    "prelu": lambda x: F.prelu(x, torch.ones(4)),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 2),
    "avg_pool3d": lambda x: F.avg_pool3d(x, 2),
    "var": lambda x: x.var((2, 3)),
    "vector_norm": torch.linalg.vector_norm,
    "reflection_pad2d": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "roll": lambda x: x.roll(1, 2),
    "flip": lambda x: x.flip(2),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "channel_shuffle": lambda x: F.channel_shuffle(x, 2),
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "gather": lambda x: x.gather(1, torch.zeros(1, 1, 1, 1, dtype=torch.long)),
    "index": lambda x: x[:, torch.tensor([0, 2])],
    "bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "grid_sample": lambda x: F.grid_sample(x, torch.zeros(1, 2, 2, 2)),
    "as_strided": lambda x: x.as_strided((2, 2), (1, 2)),
    "cumsum": lambda x: x.cumsum(1),
    "max": lambda x: x.max(1)[0],
    "zeros_like": torch.zeros_like,
    "group_norm": lambda x: F.group_norm(x, 2),
    "layer_norm": lambda x: F.layer_norm(x, (8,)),
    "instance_norm": F.instance_norm,
    "rms_norm": lambda x: F.rms_norm(x, (8,)),
    "cross": lambda x: torch.linalg.cross(x[:, :3], x[:, :3], dim=1),
    "mse_loss": lambda x: F.mse_loss(x, x),
    "index_add": lambda x: x.index_add(1, torch.tensor([0]), x[:, :1]),
    "searchsorted": lambda x: torch.searchsorted(x, x),
    "sort": lambda x: x.sort()[0],
    "unfold": lambda x: F.unfold(x, 3),
    "dropout": lambda x: F.dropout(x, 0.5, True),
}


@pytest.mark.parametrize("name", FREE)
def test_what_multiplies_nothing_is_covered_and_has_no_macs(name: str) -> None:
    traced = run(Function(FREE[name]), (1, 4, 8, 8))
    assert traced.uncovered() == ()
    assert traced.total().macs == 0


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (lambda x: torch.fft.fft2(x), "aten._fft_c2c"),
        (lambda x: torch.linalg.svd(x)[1], "aten._linalg_svd"),
        (torch.linalg.inv, "aten.linalg_inv_ex"),
    ],
)
def test_algorithms_are_named_and_never_zero_in_silence(function: Callable[..., Any], operator: str) -> None:
    (call,) = run(Function(function), (1, 4, 8, 8)).uncovered()
    assert (call.operator, call.reason) == (operator, f"no formula for {operator}")


def test_code_that_reads_values_runs_on_the_cpu_and_says_so() -> None:
    traced = run(Function(lambda x: x @ x if x.sum().item() == 0 else x), (8, 8))
    assert traced.total().macs == 512
    assert traced.route == "real"
    (note,) = traced.notes
    assert note.startswith("run on the CPU, since the code needs values: (model) fails in aten._local_scalar")


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.idle = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)
        self.second.weight = self.first.weight
        self.first.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(self.first(x)))


def test_executions_count_each_time_and_parameters_once() -> None:
    traced = run(Shared(), (3, 8))
    assert [(call.module, call.execution) for call in traced.calls if call.cost.macs] == [
        ("first", 1), ("first", 2), ("second", 1),
    ]  # fmt: skip
    assert traced.total().macs == 3 * 3 * 64
    counts = traced.parameters
    assert (counts.all, counts.trainable, counts.frozen) == (64 + 16 + 18, 64 + 8 + 18, 8)
    assert counts.tied == {"second.weight": "first.weight"}
    assert counts.unused == ("idle.weight", "idle.bias")
    assert traced.by_module(1)["first"].macs == 2 * 3 * 64


class Halves(nn.Module):
    """The gradient stops before `b`, `c` runs without gradients, and `d`'s result is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Linear(8, 8, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        self.d(y)
        with torch.no_grad():
            z = self.c(x)
        return self.a(y) + self.b(y.detach()) + z


def test_training_counts_the_graph_that_ran() -> None:
    training = run(Halves(), (3, 8), training=True).training
    assert training is not None
    one = 3 * 64
    by_module: dict[str, list[int]] = {}
    for call in (*training.forward, *training.backward):
        row = by_module.setdefault(call.module, [0, 0, 0])
        for k, count in enumerate((call.cost.macs, call.cost.macs_input_grad, call.cost.macs_weight_grad)):
            row[k] += int(count)
    assert by_module["a"] == [2 * one, one, 2 * one]
    assert by_module["b"] == [one, 0, one]
    assert by_module["c"] == [one, 0, 0]
    assert by_module["d"] == [one, 0, 0]
    assert training.macs == 9 * one


def test_grouped_convolutions_train_at_their_own_cost() -> None:
    training = run(nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 3, groups=4)), (1, 4, 8, 8),
                   training=True).training  # fmt: skip
    assert training is not None
    assert training.macs == 2 * (4 * 36 * 9) + 3 * (8 * 16 * 9)


def test_a_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4))
    model[0].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run(model, (1, 2, 5, 5), training=True)
    assert [m.training for m in model.modules()] == [True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_meta_models_take_no_memory() -> None:
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(10**5, 10**5, bias=False) for _ in range(2)))
        x = torch.zeros(1, 10**5)
    assert trace(model, [x]).total().macs == 2 * 10**10


def test_errors_name_the_module_and_the_operator() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(5, 2))
    with pytest.raises(TraceError, match=r"^2 fails.*: RuntimeError: "):
        run(model, (1, 3, 8, 8))

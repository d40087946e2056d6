"""What the tables of `pwoct-cost cost` say: parts add up to totals, and nothing is missing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

NETS = """
import torch
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):
    '''A convolution, a linear layer and a product; a map is padded, shuffled and normalised.'''
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 8, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(8)
        self.shuffle, self.fc = nn.PixelShuffle(2), nn.Linear(2, 5)

    def forward(self, x):
        x = self.shuffle(self.norm(self.conv(x)))
        y = self.fc(x.mean((2, 3)))
        return (y @ y.T).softmax(1) * 2

class Merged(nn.Module):
    '''A weight is a product of two parameters.'''
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.zeros(4, 2)), nn.Parameter(torch.zeros(2, 3))

    def forward(self, x):
        return F.linear(x, (self.a @ self.b) * 2)

class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, bias=False, dtype=torch.complex64)
        self.fc = nn.Linear(4, 5, bias=False, dtype=torch.complex64)

    def forward(self, x):
        return self.fc(self.conv(x)).abs()

class Spectral(nn.Module):
    '''A layer after a Fourier transform, for which there is no formula.'''
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(torch.fft.fft(x).real)

class Distances(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return torch.cdist(self.fc(x), x)

class Windows(nn.Module):
    '''Attention within windows of four, to which the sequence is padded.'''
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, -x.shape[1] % 4)).reshape(-1, 4, 8)
        return self.attention(x, x, x, need_weights=False)[0]

class Decides(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x) if x.sum() > 0 else x

class Times(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x, n, mask=None):
        for _ in range(int(n) if mask is None else int(mask.sum())):
            x = self.fc(x)
        return x

class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(5, 6, batch_first=True)

    def forward(self, x, lengths):
        return self.rnn(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True))[0].data

class Far(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return self.fc(x) if (x.shape[0] - 50) ** 2 > 100 else x

def five(): return torch.zeros(2, 8), torch.tensor(5)
def lengths(): return torch.zeros(2, 7, 5), torch.tensor([7, 3])
"""
NET = ("cost", "nets.py:Net", "--input", "2,2,6,5")
CONV, FC, PRODUCT = 2 * 8 * 30 * 18, 2 * 2 * 5, 2 * 2 * 5


@pytest.fixture(autouse=True)
def _in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "nets", raising=False)


def totals(result: Any) -> dict[str, tuple[int, str]]:
    return {row["quantity"]: (row["total"], row["made_of"]) for row in result["totals"]}


@pytest.mark.parametrize(
    ("options", "heading", "parts"),
    [
        ((), "MACs", {"convolution": CONV, "linear": FC, "matmul": PRODUCT}),
        (
            ("--unit", "Gflop"),
            "FLOPs",
            {"convolution": 2 * CONV, "linear": 2 * FC, "matmul": 2 * PRODUCT},
        ),
        (
            ("--unit", "flop", "--count", "conv,bn,softmax"),
            "FLOPs of convolution + bn + softmax",
            {"convolution": 2 * CONV, "bn": 2 * 480, "softmax": 3 * 4},
        ),
        (("--count", "bias,elementwise"), "bias + elementwise", {"bias": 490, "elementwise": 4}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_total_is_made_of_what_is_chosen_in_its_unit(
    pwoct_cost: Run, options: tuple[str, ...], heading: str, parts: dict[str, int]
) -> None:
    total, made_of = totals(pwoct_cost(*NET, *options, "--format", "json").json)[heading]
    assert made_of == ", ".join(f"{name} {count:,}" for name, count in parts.items())
    assert total == sum(parts.values())


@pytest.mark.parametrize(
    ("unit", "count", "heading", "bn"),
    [
        ("kmac", "bn", "k element ops of bn", "0.96"),
        ("kflop", "bn,bias", "k element ops of bias + bn", "0.96"),
        ("mac", "bn", "bn", "960"),
    ],
)
def test_a_column_of_element_operations_says_its_unit(
    pwoct_cost: Run, unit: str, count: str, heading: str, bn: str
) -> None:
    lines = pwoct_cost(*NET, "--unit", unit, "--count", count, "--by", "kind").out.splitlines()
    (columns,) = (line for line in lines if line.startswith("kind"))
    assert re.split(r"\s{2,}", columns) == ["kind", "calls", heading, "share", "element ops"]
    (row,) = (line for line in lines if line.startswith("normalisation"))
    assert row.split()[1:3] == ["1", bn]


def test_the_parts_of_the_element_operations_add_up(pwoct_cost: Run) -> None:
    result = pwoct_cost(*NET, "--format", "json").json
    total, made_of = totals(result)["element operations"]
    assert made_of == f"bn 960, bias 490, other {480 + 3 * 4 + 4}"
    assert total == sum(int(count.replace(",", "")) for count in re.findall(r"[\d,]*\d", made_of))


@pytest.mark.parametrize("by", ["operator", "kind", "module"])
@pytest.mark.parametrize("sort", ["bytes", "order"])
def test_rows_add_up_to_the_totals(pwoct_cost: Run, by: str, sort: str) -> None:
    result = pwoct_cost(*NET, "--by", by, "--sort", sort, "--per-layer", "--format", "json").json
    for key in ("work", "activations", "element_ops", "bytes", "calls"):
        assert sum(row[key] for row in result["layers"]) == result["total"][key]
    moving = {"operator": "aten.pixel_shuffle", "kind": "move", "module": "shuffle"}[by]
    (row,) = (row for row in result["layers"] if row["name"] == moving)
    assert row["bytes"] >= 2 * 4 * 480
    assert "view" not in {row["name"] for row in result["layers"]}


def test_work_on_weights_is_shown_where_there_is_any(pwoct_cost: Run) -> None:
    merged = pwoct_cost("cost", "nets.py:Merged", "--input", "5,3", "--format", "json").json
    assert totals(merged)["MACs"] == (4 * 2 * 3 + 5 * 3 * 4, "linear 84")
    on_weights = (4 * 2 * 3, "included above, to compute weights; 12 element operations")
    assert totals(merged)["MACs on weights"] == on_weights
    assert (merged["total"]["work_on_weights"], merged["total"]["element_ops_on_weights"]) == (24, 12)
    plain = pwoct_cost(*NET, "--format", "json").json
    assert plain["total"]["work_on_weights"] == 0
    assert "MACs on weights" not in totals(plain)


def test_complex_products_are_remarked(pwoct_cost: Run) -> None:
    remark = "torch runs a complex convolution as three real ones"
    given = ("cost", "nets.py:Complex", "--input", "1,2,6,6:complex64")
    result = pwoct_cost(*given, "--format", "json").json
    assert totals(result)["MACs"] == (3 * 864 + 12 * 4 * 5, f"convolution {3 * 864:,}, linear 240")
    assert remark in " ".join(result["remarks"])
    assert remark in " ".join(pwoct_cost(*given, "--symbols", "n,_,_,_").out.split())
    assert remark not in pwoct_cost(*NET).out


def test_an_operator_without_a_formula_is_named_beside_formulas(pwoct_cost: Run) -> None:
    given = ("nets.py:Spectral", "--input", "2,8", "--symbols", "n,_")
    result = pwoct_cost("cost", *given, "--format", "json").json
    assert result["covered"] is False
    assert [row["operator"] for row in result["uncovered"]] == ["aten._fft_r2c"]
    assert "not included in any formula above" in pwoct_cost("cost", *given).out
    ran = pwoct_cost("cost", *given, "--as", "python")
    assert "not covered, and not in any formula: aten._fft_r2c" in ran.err
    proved = pwoct_cost("prove", *given)
    assert (proved.code, "no formula for aten._fft_r2c" in proved.err) == (1, True)


def test_a_gradient_without_a_formula_is_named_beside_a_training_step(pwoct_cost: Run) -> None:
    given = ("cost", "nets.py:Distances", "--input", "2,3,4", "--format", "json", "--strict")
    assert pwoct_cost(*given).code == 0
    ran = pwoct_cost(*given, "--training")
    assert (ran.code, ran.json["covered"]) == (1, False)
    assert [row["operator"] for row in ran.json["uncovered"]] == ["aten._cdist_backward"]


def test_that_code_needs_values_is_said_once(pwoct_cost: Run) -> None:
    result = pwoct_cost("cost", "nets.py:Decides", "--input", "2,4", "--format", "json").json
    (remark,) = (remark for remark in result["remarks"] if "needs values" in remark)
    assert remark.startswith("run on the CPU, since the code needs values: (model) fails in ")


@pytest.mark.parametrize(
    ("given", "macs"),
    [
        (("nets.py:Times", "--inputs", "nets.py:five"), 5 * 2 * 64),
        (("nets.py:Packed", "--inputs", "nets.py:lengths"), (7 + 3) * 24 * (5 + 6)),
        (
            ("nets.py:Times", "--input", "2,8", "--input", "scalar:int64", "--input", "mask=3:bool"),
            3 * 2 * 64,
        ),
    ],
)
def test_code_that_needs_values_runs_on_those_of_the_inputs(
    pwoct_cost: Run, given: tuple[str, ...], macs: int
) -> None:
    assert totals(pwoct_cost("cost", *given, "--format", "json").json)["MACs"][0] == macs


def test_whole_numbers_are_drawn_for_code_that_needs_them(pwoct_cost: Run) -> None:
    from costmodel.models.inputs import parse

    texts = ["2,8", "1:int64<10"]
    drawn = int(parse(texts).values()[0][1])
    given = ("nets.py:Times", *(word for text in texts for word in ("--input", text)), "--format", "json")
    assert totals(pwoct_cost("cost", *given).json)["MACs"][0] == drawn * 2 * 64 > 0


def test_counters_are_predicted_on_the_values_of_the_inputs(pwoct_cost: Run) -> None:
    given = ("nets.py:Times", "--inputs", "nets.py:five", "--format", "json")
    assert pwoct_cost("reconcile", *given).json["macs"] == 5 * 2 * 64


def test_a_formula_that_does_not_hold_at_the_input_says_so(pwoct_cost: Run) -> None:
    given, remark = ("cost", "nets.py:Far", "--input", "20,8", "--symbols", "b,_"), "it needs b >= 61."
    assert remark in " ".join(pwoct_cost(*given, "--format", "json").json["remarks"])
    assert remark in pwoct_cost(*given, "--as", "python").err


def test_a_long_domain_is_listed_in_json(pwoct_cost: Run) -> None:
    asked = ("cost", "nets.py:Windows", "--input", "2,50,8", "--symbols", "b,n,_")
    told = pwoct_cost(*asked, "--format", "json").json
    conditions = told["domain"].split("; ")[2:]
    assert len(conditions) > 10
    lines = pwoct_cost(*asked).out.splitlines()
    title = " ".join(
        line.strip() for line in lines[1 : next(i for i, x in enumerate(lines) if "──" in x) - 1]
    )
    assert title.endswith(f"; {conditions[3]}; and {len(conditions) - 4} more")
    assert lines[-1] == f"--format json lists all {len(conditions)} conditions of the domain."
    assert lines[-1] in told["remarks"]


def test_a_function_says_that_its_formula_is_interpolated(tmp_path: Path, pwoct_cost: Run) -> None:
    (tmp_path / "more.py").write_text(
        "from torch import nn\n"
        "class Fixed(nn.ReLU):\n"
        "    def forward(self, x):\n"
        "        return super().forward(x.reshape(int(x.shape[0]), -1))\n"
    )
    asked = ("cost", "more.py:Fixed", "--input", "2,3,4", "--symbols", "n,_,w")
    status = pwoct_cost(*asked, "--format", "json").json["status"]
    assert status.startswith("interpolated, checked at ")
    assert f"; {status}." in pwoct_cost(*asked, "--as", "python").out

"""The benchmarks load, and the trainer's takes steps; what they measure is no business of a test."""

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from pwoct.pwise_octave import PwiseOctConv

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    # The published package is an extra of its benchmark alone; that loads whatever stands in for it.
    monkeypatch.setitem(sys.modules, "octconv", SimpleNamespace(OctConv2d=None))

    def load_module(name: str) -> ModuleType:
        return import_module(name)

    return load_module


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_benchmark_loads_without_measuring(load, name, capfd):
    assert load(name).__doc__
    assert capfd.readouterr() == ("", "")


def test_both_training_loops_take_steps(load):
    throughput = load("train_throughput")
    session = throughput.our_session("resnet8", compiled=False)
    session.progress.step = session.progress.steps_per_epoch  # so that it must begin again
    for steps in (throughput.our_steps(session), throughput.usual_steps(8, workers=0)):
        assert throughput.seconds_per_step(steps, 2) > 0
    assert session.progress.step == 2
    assert throughput.input_seconds(session) > 0


def test_networks_of_the_gpu_script_take_turns(load, capsys):
    options = [
        "--depth",
        "8",
        "--width",
        "4",
        "--batch",
        "2",
        "--size",
        "8",
        "--alphas",
        "1/2",
        "--rounds",
        "2",
    ]
    assert load("gpu").main([*options, "--device", "cpu", "--no-compile", "--precisions", "float32"]) == 0
    first, second, _, _, _, *rows = capsys.readouterr().out.splitlines()
    assert f"torch {torch.__version__}" in first
    assert second == "ResNet-8, width 4, 8 x 8, batch 2; medians of 2 rounds"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    forms = [("0", "module"), ("0", "lean"), ("1/2", "module"), ("1/2", "lean")]
    assert [(row[0], row[2], row[3]) for row in cells] == [
        (mode, *form) for mode in ("inference", "training") for form in forms
    ]
    assert [row[6] for row in cells if (row[2], row[3]) == ("0", "module")] == ["1.00", "1.00"]


def test_the_gpu_script_says_that_there_is_no_gpu(load, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert load("gpu").main([]) == 3
    assert capsys.readouterr().err.startswith("no CUDA device: torch ")
    assert load("gpu").main(["--rounds", "1", "--device", "cpu"]) == 2
    assert capsys.readouterr().err == "--rounds must be at least 2, got 1\n"


@pytest.mark.parametrize(
    ("name", "alpha", "source"),
    [
        ("ResNet-50", "1/4", "table 2"),
        ("MobileNet v1", "1/2", "d-li14"),
        ("ResNeXt-50 (32x4d)", "1/2", "table 6"),
    ],
)
def test_published_cost_of_an_octave_network(load, name, alpha, source):
    module = load("octconv_paper")
    (row,) = (r for r in module.PUBLISHED if (r.name, r.alpha, r.source) == (name, alpha, source))
    counted = module.converted(row)
    assert row.agrees(counted.macs)
    assert module.printed_as(counted.params, f"{row.params} M") == f"{row.params} M"


def test_published_counts_are_compared_in_their_decimals(load):
    from fractions import Fraction

    printed = load("published_macs").printed
    assert printed(Fraction(15_480_102_912), 6, "15480.10")
    assert not printed(Fraction(15_480_105_001), 6, "15480.10")
    assert printed(Fraction(25_557_032), 6, "25.56")
    assert not printed(Fraction(25_557_032), 6, "25.55")


def test_the_rule_of_pytorchcv_on_a_written_network(load):
    import torch
    from torch import nn

    from costmodel.reconcile.bridge import predict
    from costmodel.reconcile.observe import observe
    from costmodel.reconcile.rules import read

    rules = read((FOLDER / "published_pytorchcv.toml").read_text(encoding="utf-8"))
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Sigmoid()
    )
    pixels = 6 * 6
    conv = (2 * 9 * pixels - 1) * 3 * 8
    others = 4 * 8 * pixels + 8 * pixels + 8 * 9 * 4 + 4 * 8 * 9
    assert predict(observe(net, [torch.zeros(1, 3, 8, 8)]), rules).total == conv + others
    published = load("published_macs")
    assert len(list(published.of_timm())) == 107
    assert len(list(published.of_pytorchcv())) == 133


def test_planned_defects_fit_the_code_and_have_names_of_their_own(load):
    planted, tests = load("planted"), json.loads((FOLDER / "mutants_tests.json").read_text(encoding="utf-8"))
    mutants = list(planted.planned_mutants())
    assert {mutant.name.split()[0] for mutant in mutants} <= {*tests}
    assert all((FOLDER.parent / path).exists() for paths in tests.values() for path in paths)
    assert len({mutant.name for mutant in mutants}) == len(mutants) > 200
    for mutant in mutants:
        compile(mutant.source, mutant.name, "exec")
        assert mutant.source != (FOLDER.parent / mutant.name.split()[0]).read_text(encoding="utf-8")


def test_claims_that_meet_a_defect_first_exist(load):
    mutants = load("mutants")
    names = [claim.name for claim in mutants._claims()]
    for text in {*mutants.QUICK, *(text for texts in mutants.FIRST.values() for text in texts)}:
        assert any(text in name for name in names), text


def test_mutants_replace_the_functions_that_they_change(load):
    """One mutant per place, each with the same closure, and only the changed function differs."""
    mutation = load("mutation")
    path = FOLDER.parent / "pwoct" / "pwise_octave.py"
    found = list(mutation.mutants(path))
    names = [mutant.name for mutant in found]
    place = "pwoct/pwise_octave.py PwiseOctConv.extra_repr line"
    (changed,) = (mutant for mutant in found if mutant.name.startswith(place))
    assert changed.name.endswith(": None")
    assert any("super().__init__()" in name and name.endswith("left out") for name in names)
    layer = PwiseOctConv(4, 4, paths=("HH",))
    before, told = PwiseOctConv.extra_repr.__code__, layer.extra_repr()
    live = mutation.Live({str(path)})
    live.caches.clear()  # those of this process stay filled
    try:
        live.install(changed)
        assert layer.extra_repr() is None
    finally:
        PwiseOctConv.extra_repr.__code__ = before
    assert layer.extra_repr() == told

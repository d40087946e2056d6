"""The benchmarks load, and the trainer's takes steps; what they measure is no business of a test."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

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

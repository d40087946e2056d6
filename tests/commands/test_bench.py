"""`pwoct-cost bench`: what it says; how fast things are is not tested."""

import json
import sys

import pytest
import torch

from cli import main
from pwoct.plan.compiled.operations import lanes_of

QUICK = ["bench", "resnet8", "--quick", "--threads", "1", "--size", "8", "--width", "4"]


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([*QUICK, *arguments])
    out, err = capsys.readouterr()
    return stop.value.code or 0, out, err


def test_networks_in_json(capsys):
    code, out, _ = run(
        capsys, "--alpha", "1/2", "--format", "json", "--dtype", "float32,bfloat16", "--per-layer"
    )
    assert code == 0
    result = json.loads(out)
    assert result["question"]["dtype"] == "float32,bfloat16"
    assert result["command_line"].startswith("pwoct-cost bench resnet8 --alpha 1/2 ")
    assert {
        "inference_float32",
        "training_float32",
        "inference_bfloat16",
        "training_bfloat16",
    } < result.keys()
    rows = result["inference_float32"]
    assert [(row["network"], row["plan"]) for row in rows] == [
        ("plain", "folded"),
        ("plain", "reference"),
        ("alpha 1/2", "folded"),
    ]
    assert [row["plan"] for row in result["training_float32"]] == ["lean", "reference", "lean"]
    assert rows[0]["faster"] == 1
    assert rows[1]["faster_than_module"] == 1
    assert all(row["predicted_milliseconds"] > 0 for row in rows)
    assert all(row["milliseconds"] > 0 for row in rows)
    assert len(result["machine"]) == 4


def test_layers_are_counted_once_each(capsys):
    code, out, _ = run(
        capsys, "--alpha", "1/2", "--mode", "inference", "--format", "json", "--per-layer", "--cpu-time"
    )
    assert code == 0
    rows = json.loads(out)["layers_float32"]
    # stem, 6 convolutions of the blocks, 2 shortcuts
    assert sum(row["times"] for row in rows) == 9
    by_name = {row["layer"]: row for row in rows}
    assert by_name["stem"]["macs"] == 2 * 9 * 3 * 4 * 8 * 8
    assert by_name["stem"]["plain_milliseconds"] is None
    assert by_name["stages.0.0.conv1"]["plain_milliseconds"] > 0


def test_the_plain_network_alone(capsys):
    code, out, err = run(capsys, "--alpha", "0", "--mode", "training", "--plan", "lean")
    assert code == 0
    assert "alpha" not in out
    assert "--quick times each network once, on 2 images: a smoke test, not a measurement" in err
    assert ": 1 network, 1 round\n" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "sleep"], "mode must be one of inference, training, both, got sleep"),
        (["--plan", "fast"], "plan must be one of auto, reference, lean, blocked, folded, native, got fast"),
        (["--dtype", "int8"], "dtype must be one of float32, bfloat16, got int8"),
        (["--plan", "folded"], "plan folded has no gradients"),
        (["--plan", "native"], "plan native has no gradients"),
        (["--plan", "blocked"], "plan blocked is for training"),
        (["--cpu-time", "--threads", "2"], "--cpu-time needs --threads 1, got 2"),
        (["--plot", "roofline.txt"], "a figure is a file .svg, .png or .pdf, got roofline.txt"),
        (["--alpha", "2"], "alpha must be in [0, 1], got 2"),
    ],
)
def test_bad_input(capsys, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert not out
    assert len(err.splitlines()) == 1
    assert message in err


def test_without_a_network_one_line_says_how_to_name_one(pwoct_cost):
    ran = pwoct_cost("bench")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(
        "pwoct-cost: error: which network? Give resnet56, net.py:Net(), timm:resnet50, "
    )


def test_a_plan_that_does_not_fit(capsys):
    code, out, err = run(capsys, "--plan", "blocked", "--mode", "training")
    assert code == 2
    assert not out
    needed = f'the plan "blocked" needs batches of a multiple of {lanes_of(torch.float32)} images, got 2'
    assert needed in err.splitlines()[-1]


def test_the_plot(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "roofline.png"
    code, _, err = run(capsys, "--alpha", "1/2", "--mode", "inference", "--plot", str(file))
    assert code == 0
    assert file.stat().st_size > 0
    assert f"wrote {file}" in err


def test_a_missing_extra(capsys, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else found(name, *rest)
    )
    code, _, err = run(capsys, "--plot", "roofline.png")
    assert code == 3
    assert "pip install '.[plot]'" in err


def test_help_needs_no_torch():
    import subprocess

    script = "import sys; from cli import main\ntry: main(['bench', '--help'])\nexcept SystemExit: pass\n"
    check = script + "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, check=False).returncode == 0

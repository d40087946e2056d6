"""`pwoct-cost evaluate` and the curves of `runs`: what becomes of a trained run."""

import pytest
import torch


def test_evaluate_gives_the_accuracy_of_the_run(pwoct_cost, trained):
    told = pwoct_cost("runs", "--runs", str(trained), "--format", "json").json["runs"][0]["accuracy"]
    run = pwoct_cost("evaluate", "mine", "--runs", str(trained), "--format", "json")
    assert run.json["accuracy"] == pytest.approx(told)
    assert sum(row["images"] for row in run.json["classes"]) == run.json["images"] == 512
    confusion = [[row[str(k)] for k in range(10)] for row in run.json["confusion"]]
    assert sum(map(sum, confusion)) == 512
    assert sum(confusion[k][k] for k in range(10)) == run.json["correct"]
    assert all(row["agrees"] for row in run.json["cost"])
    assert run.json["cost"][0]["network"] == 5166


def test_evaluate_takes_other_weights(pwoct_cost, trained, tmp_path):
    from safetensors.torch import load_file

    weights = load_file(trained / "mine" / "weights.safetensors")
    torch.save(weights, tmp_path / "same.pth")
    weights["fc.bias"] += torch.tensor([1e6] + [0.0] * 9)  # now every image is of class 0
    torch.save(weights, tmp_path / "zero.pth")
    own, same, zero = (
        pwoct_cost("evaluate", "mine", "--runs", str(trained), "--format", "json", *more).json
        for more in ((), ("--weights", str(tmp_path / "same.pth")), ("--weights", str(tmp_path / "zero.pth")))
    )
    asked = ("question", "command_line")
    assert {**same, **dict.fromkeys(asked)} == {**own, **dict.fromkeys(asked)}
    assert zero["correct"] == 52  # 512 images of 10 classes: two of them have one more


def test_evaluate_takes_another_plan(pwoct_cost, trained):
    command = ("evaluate", "mine", "--runs", str(trained), "--format", "json")
    own, reference = pwoct_cost(*command).json, pwoct_cost(*command, "--plan", "reference").json
    assert reference["loss"] == pytest.approx(own["loss"], rel=1e-2)
    run = pwoct_cost(*command, "--plan", "fast")
    assert run.code == 2
    assert "plan must be one of reference, lean, blocked, folded, native, got 'fast'" in run.err


def test_evaluate_refuses_weights_of_another_network(pwoct_cost, trained, tmp_path):
    torch.save({"fc.weight": torch.ones(1)}, tmp_path / "other.pth")
    run = pwoct_cost("evaluate", "mine", "--runs", str(trained), "--weights", str(tmp_path / "other.pth"))
    assert run.code == 5
    assert "the weights do not fit the network" in run.err


def test_curves_are_drawn(pwoct_cost, trained):
    picture = trained / "curves.svg"
    assert pwoct_cost("runs", "mine", "--runs", str(trained), "--plot", str(picture)).code == 0
    text = picture.read_text()
    for label in ("epoch", "training loss", "accuracy %, on test or held-out images", "mine"):
        assert f">{label}</text>" in text


def test_curves_need_a_file_that_can_be_drawn(pwoct_cost, trained):
    run = pwoct_cost("runs", "--runs", str(trained), "--plot", "curves.foo")
    assert (run.code, run.out) == (2, "")
    assert run.err == "pwoct-cost: error: a figure is a file .svg, .png or .pdf, got curves.foo\n"

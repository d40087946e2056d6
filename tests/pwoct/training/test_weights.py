"""Weights of other programs: what is unwrapped, and what is refused without torch's own words."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pwoct.training.checkpoint import CheckpointError
from pwoct.training.weights import load_weights, put_into

WEIGHTS = {"fc.weight": torch.ones(2, 3), "fc.bias": torch.zeros(2)}


def prefixed(prefix):
    return {f"{prefix}{name}": value for name, value in WEIGHTS.items()}


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "module.module."]
)
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_wrappers_are_taken_off_in_every_format(prefix, suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    save_file(prefixed(prefix), path) if suffix == ".safetensors" else torch.save(prefixed(prefix), path)
    assert load_weights(path).keys() == WEIGHTS.keys()


def test_a_part_that_was_compiled_is_unwrapped(tmp_path):
    torch.save({"fc._orig_mod.weight": torch.ones(1)}, tmp_path / "a.pth")
    assert list(load_weights(tmp_path / "a.pth")) == ["fc.weight"]


@pytest.mark.parametrize(
    "keys", [["state_dict"], ["model"], ["net"], ["weights"], ["model_state_dict"], ["model", "state_dict"]]
)
def test_containers_are_opened(keys, tmp_path):
    content = WEIGHTS
    for key in keys:
        content = {key: content, "epoch": 3}
    torch.save(content, tmp_path / "a.pth")
    assert load_weights(tmp_path / "a.pth").keys() == WEIGHTS.keys()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_that_are_not_finite_are_refused(value, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    weights = {**WEIGHTS, "fc.bias": torch.tensor([0.0, value])}
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    with pytest.raises(CheckpointError, match=r"the weights are not finite: fc.bias"):
        load_weights(path)


class Code:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pth", b""),
        ("a.pth", b"\x80"),
        ("a.pth", b"PK\x03\x04 no zip"),
        ("a.pth", b"no weights"),
        ("a.safetensors", b""),
        ("a.safetensors", b"\xff" * 64),
        ("a.pth", {"a": Code()}),
        ("a.pth", nn.Linear(2, 2)),
    ],
)
def test_what_cannot_be_read_is_said_in_our_words(name, content, tmp_path, capsys):
    path = tmp_path / name
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(CheckpointError) as error:
        load_weights(path)
    text = str(error.value)
    assert text.startswith(f"{path}: no readable weights: not an intact ")
    assert "\x1b" not in text
    assert "weights_only" not in text
    assert "\n" not in text
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "content", [{}, {"a": 1}, [torch.ones(1)], torch.ones(1), {"state_dict": {"a": "b"}}]
)
def test_what_holds_no_dict_of_tensors_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="must hold a dict of tensors, or one under 'state_dict', "):
        load_weights(tmp_path / "a.pth")


def test_two_tensors_of_one_name_are_refused(tmp_path):
    torch.save({"module.a": torch.ones(1), "a": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="two tensors have one name"):
        load_weights(tmp_path / "a.pth")


def test_what_does_not_fit_is_named():
    model = nn.Sequential(nn.Linear(3, 2))
    weights = {"0.weight": torch.ones(2, 4), **{f"x{k}": torch.ones(1) for k in range(5)}}
    with pytest.raises(CheckpointError) as error:
        put_into(model, weights)
    assert str(error.value) == (
        "the weights do not fit the network; missing: 0.bias; unknown: x0, x1, x2 and 2 more;"
        " of a different shape: 0.weight (2, 4), not (2, 3)"
    )


def test_a_missing_file_and_a_folder_are_said(tmp_path):
    for path, why in ((tmp_path / "none.pth", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(CheckpointError, match=f"cannot be read: {why}"):
            load_weights(path)

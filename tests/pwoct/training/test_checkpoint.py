import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pwoct.training.checkpoint import (
    KEEP,
    MANIFEST,
    STATE,
    TRAINING,
    WEIGHTS,
    CheckpointError,
    chosen,
    finite,
    newest,
    read,
    set_aside,
    steps_kept,
    store,
)
from pwoct.training.weights import load_weights
from tests.pwoct.training.stored import FILES, made, steps, two_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_in(tmp_path)


def test_what_is_stored_is_read(folder):
    found, skipped = newest(folder)
    assert skipped == []
    assert found.step == 20
    assert torch.equal(found.model["weight"], torch.full((2, 3), 20.0))
    assert found.training["momentum"].dtype == torch.bfloat16
    assert found.state == {"config": {"seed": 0}, "rate": 20.1}


def test_weights_are_plain_safetensors(folder):
    assert set(load_file(folder / "step-0000000020" / WEIGHTS)) == {"weight", "count"}


def test_nothing_is_pickled(folder):
    assert {path.name for path in (folder / "step-0000000020").iterdir()} == set(FILES)
    assert not any(b"torch\n" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_newest_two_are_kept(folder):
    for step in (30, 40):
        store(folder, made(step))
    assert KEEP == 2
    assert steps(folder) == [30, 40]


def test_the_path_is_told_for_a_step_that_is_stored_already_too(folder):
    path = folder / "step-0000000030"
    assert [store(folder, made(30)), store(folder, made(30))] == [path, path]


def test_a_link_in_place_of_a_checkpoint_is_replaced(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "step-0000000030").symlink_to(elsewhere)
    assert not store(folder, made(30)).is_symlink()
    assert read(folder / "step-0000000030").step == 30
    assert list(elsewhere.iterdir()) == []


def test_the_checkpoint_of_a_step_is_chosen(folder):
    assert chosen(folder, 10).step == 10
    assert steps_kept(folder) == "10, 20"
    with pytest.raises(CheckpointError, match=r"^no checkpoint of step 15 in .*; there are 10, 20$"):
        chosen(folder, 15)
    flip(folder / "step-0000000010" / WEIGHTS)
    with pytest.raises(CheckpointError, match="does not have the SHA-256"):
        chosen(folder, 10)


def test_steps_in_words(tmp_path):
    assert steps_kept(tmp_path) == "none"
    store(tmp_path, made(0))
    assert steps_kept(tmp_path) == "0"


def test_the_first_tensor_that_is_not_finite_is_named():
    good, bad = torch.ones(2), torch.tensor([1.0, float("inf")])
    assert finite({"a": good, "b": bad, "c": bad}) == "b"
    assert finite({"a": good}) is None


def test_what_was_set_aside_before_is_replaced(folder):
    flip(folder / "step-0000000020" / WEIGHTS)
    set_aside(folder, newer_than=10)
    store(folder, made(20))
    flip(folder / "step-0000000020" / STATE)
    set_aside(folder, newer_than=10)
    assert [path.name for path in folder.glob("damaged-*")] == ["damaged-step-0000000020"]
    assert steps(folder) == [10]


def test_an_empty_folder_is_a_start(tmp_path):
    assert newest(tmp_path / "nowhere") == (None, [])


def test_an_unfinished_checkpoint_is_none_and_is_removed(folder):
    shutil.copytree(folder / "step-0000000020", folder / ".writing-step-0000000030")
    assert newest(folder)[0].step == 20
    store(folder, made(30))
    assert not list(folder.glob(".writing-*"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def swap(path: Path) -> None:
    path.write_bytes((path.parents[1] / "step-0000000010" / path.name).read_bytes())


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [truncate, flip, empty, remove, swap])
def test_damage_to_any_file_falls_back_to_the_one_before(damage, name, folder):
    damage(folder / "step-0000000020" / name)
    found, skipped = newest(folder)
    assert found.step == 10
    assert len(skipped) == 1
    assert "step-0000000020" in skipped[0]


@pytest.mark.parametrize("name", FILES)
def test_damage_to_all_is_an_error_that_names_them(name, folder):
    for step in (10, 20):
        flip(folder / f"step-{step:010d}" / name)
    with pytest.raises(CheckpointError, match=r"no good checkpoint is left: .*0020.*; .*0010"):
        newest(folder)


def test_every_single_flipped_bit_is_seen(folder):
    """In every byte of the small files and every seventh of the rest: none passes as another checkpoint."""
    where = folder / "step-0000000020"
    whole = read(where)
    for name in FILES:
        original = (where / name).read_bytes()
        for position in range(0, len(original), 7 if len(original) > 4096 else 1):
            content = bytearray(original)
            content[position] ^= 1 << position % 8
            (where / name).write_bytes(content)
            try:
                found = read(where)
            except CheckpointError:
                continue
            # The manifest may be another text of the same content: a space, say.
            assert name == MANIFEST
            assert found.state == whole.state
        (where / name).write_bytes(original)


def test_a_checkpoint_under_another_name_is_refused(folder):
    (folder / "step-0000000010").rename(folder / "step-0000000030")
    found, skipped = newest(folder)
    assert found.step == 20
    assert "holds step 10, not what its name says" in skipped[0]


def test_a_manifest_that_leaves_a_file_out_is_refused(folder):
    manifest = folder / "step-0000000020" / MANIFEST
    sums = json.loads(manifest.read_text())
    del sums[TRAINING]
    manifest.write_text(json.dumps(sums))
    assert newest(folder)[0].step == 10


def test_damaged_ones_set_aside_do_not_count_as_kept(folder):
    flip(folder / "step-0000000020" / WEIGHTS)
    set_aside(folder, newer_than=10)
    store(folder, made(15))
    assert steps(folder) == [10, 15]
    store(folder, made(20))  # its name is free again
    assert newest(folder)[0].step == 20
    for step in (15, 20):
        shutil.rmtree(folder / f"step-{step:010d}")
    with pytest.raises(CheckpointError, match="damaged-step-0000000020: was found damaged earlier"):
        newest(folder)


def test_foreign_weights_hold_nothing_but_tensors(tmp_path):
    weights = {"fc.weight": torch.ones(2)}
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in weights.items()}}, tmp_path / "a.pth"
    )
    save_file(weights, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        assert torch.equal(load_weights(tmp_path / name)["fc.weight"], torch.ones(2))


class Malicious:
    def __reduce__(self):
        return (os.abort, ())


@pytest.mark.parametrize("content", ["code", "numbers", "noise"])
def test_other_content_is_refused(content, tmp_path):
    path = tmp_path / "foreign.pth"
    if content == "noise":
        path.write_bytes(b"no weights at all")
    else:
        torch.save({"a": Malicious()} if content == "code" else {"a": 1}, path)
    with pytest.raises(CheckpointError, match=r"foreign.pth"):
        load_weights(path)

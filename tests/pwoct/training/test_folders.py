"""Images in folders: what is read, in which order, and what is refused."""

import numpy as np
import pytest
import torch

pytest.importorskip("PIL")
from PIL import Image

from pwoct.training import folders
from pwoct.training.data import DataError
from pwoct.training.folders import load_folder
from tests.pwoct.training.pictures import pixels, write

COUNTS = {"train": {"cat": 3, "dog": 2}, "test": {"cat": 1, "dog": 2}}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, COUNTS)
    return tmp_path


def test_images_come_by_class_and_name_as_they_are_stored(folder):
    found = load_folder(folder)
    assert found.classes == ("cat", "dog")
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert found.test.labels.tolist() == [0, 1, 1]
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    stored = np.stack([pixels("train", label, number) for label, number in places])
    assert torch.equal(found.train.pixels, torch.from_numpy(stored))
    assert "5 training and 3 test images (test/) of 2 classes, 8x8; 0 of them were resized" in found.note


def test_val_stands_in_for_test_and_test_comes_first(tmp_path):
    write(tmp_path, {"train": {"a": 1}, "val": {"a": 3}})
    assert len(load_folder(tmp_path).test) == 3
    write(tmp_path, {"test": {"a": 2}})
    assert len(load_folder(tmp_path).test) == 2


def test_images_that_are_all_grey_have_one_channel(tmp_path):
    write(tmp_path, {"train": {"a": 2}, "test": {"a": 1}}, grey=True)
    found = load_folder(tmp_path)
    assert found.train.pixels.shape == (2, 8, 8, 1)
    assert found.train.pixels[0, :, :, 0].tolist() == pixels("train", 0, 0, grey=True).tolist()
    write(tmp_path, {"test": {"a": 1}})  # one in colour
    assert load_folder(tmp_path).train.pixels.shape == (2, 8, 8, 3)


def test_a_size_scales_until_it_is_covered_and_crops_the_rest(folder):
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = 200  # the middle, which stays
    Image.fromarray(wide).save(folder / "train" / "cat" / "000.png")
    found = load_folder(folder, (4, 4))
    assert found.train.pixels.shape == (5, 4, 4, 3)
    # Bilinear: at most the outer columns mix with what was cut off.
    assert found.train.pixels[0, :, 1:3].unique().tolist() == [200]
    assert "4x4; 8 of them were resized" in found.note
    whole = load_folder(folder, (8, 8))
    assert "8x8; 1 of them were resized" in whole.note


def test_the_fingerprint_is_of_the_content(folder, tmp_path_factory):
    first = load_folder(folder).fingerprint
    copy = tmp_path_factory.mktemp("copy")
    write(copy, COUNTS)
    assert load_folder(copy).fingerprint == first
    changed = pixels("train", 0, 0)
    changed[0, 0, 0] ^= 1
    Image.fromarray(changed).save(copy / "train" / "cat" / "000.png")
    assert load_folder(copy).fingerprint != first
    (folder / "train" / "cat").rename(folder / "train" / "ant")
    (folder / "test" / "cat").rename(folder / "test" / "ant")
    assert load_folder(folder).fingerprint != first


def other_size(folder):
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(folder / "test" / "dog" / "001.png")


def damaged(folder):
    path = folder / "train" / "cat" / "001.png"
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            other_size,
            r"several sizes \(train/cat/000.png has 8x8, test/dog/001.png has 4x6\): give --image-size",
        ),
        (damaged, r"cat/001.png cannot be read as an image"),
        (lambda f: (f / "train" / "cat" / "a.png").write_text("x"), "a.png cannot be read as an image"),
        (
            lambda f: (f / "train" / "cat" / "notes.txt").write_text("x"),
            "notes.txt is not an image: a class holds only",
        ),
        (lambda f: (f / "test" / "cow").mkdir(), "cow: train/ has no class cow; it has cat, dog"),
        (lambda f: (f / "train" / "cow").mkdir(), "cow holds no image"),
        (lambda f: (f / "test").rename(f / "tests"), r"must hold train/CLASS/\*.png, and test/CLASS"),
        (lambda f: (f / "train").rename(f / "trains"), r"must hold train/CLASS/\*.png, and test/CLASS"),
        (
            lambda f: Image.fromarray(np.zeros((8, 8), np.uint16)).save(f / "test" / "dog" / "000.png"),
            "dog/000.png has pixels of mode I;16, and needs 8 bits per channel",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(folder, spoil, message):
    spoil(folder)
    with pytest.raises(DataError, match=message) as error:
        load_folder(folder)
    assert "\n" not in str(error.value)


def test_hidden_files_are_passed_over(folder):
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "cat" / ".DS_Store").write_text("x")
    assert len(load_folder(folder).train) == 5


def test_more_images_than_fit_into_memory_are_refused_before_they_are_read(folder, monkeypatch):
    monkeypatch.setattr(folders, "SHARE", 1e-12)
    with pytest.raises(DataError, match=r"8 images of 8x8 fill 0.0 GB, more than half of the memory"):
        load_folder(folder)

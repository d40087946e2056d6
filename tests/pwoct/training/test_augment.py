import numpy as np
import pytest
import torch

from pwoct.training.augment import Moves, Normalise, augment, draw_moves
from pwoct.training.config import compose
from pwoct.training.data import Images
from pwoct.training.distributed import Ranks
from pwoct.training.inputs import Batches
from pwoct.training.streams import stream

ROWS = torch.arange(1, 10, dtype=torch.uint8).view(1, 3, 3, 1)  # 1 2 3 / 4 5 6 / 7 8 9


def moved(down, right, mirrored, fill):
    moves = Moves(torch.tensor([down]), torch.tensor([right]), torch.tensor([mirrored]))
    return augment(ROWS, moves, fill).view(3, 3).tolist()


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ((0, 0, False, "zero"), [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        ((1, 0, False, "zero"), [[0, 0, 0], [1, 2, 3], [4, 5, 6]]),
        ((0, -1, False, "zero"), [[2, 3, 0], [5, 6, 0], [8, 9, 0]]),
        ((1, 0, False, "nearest"), [[1, 2, 3], [1, 2, 3], [4, 5, 6]]),
        ((-2, 1, False, "nearest"), [[7, 7, 8], [7, 7, 8], [7, 7, 8]]),
        ((0, 0, True, "zero"), [[3, 2, 1], [6, 5, 4], [9, 8, 7]]),
        ((0, 1, True, "zero"), [[2, 1, 0], [5, 4, 0], [8, 7, 0]]),  # moved right, then mirrored
    ],
)
def test_moves_by_hand(how, expected):
    assert moved(*how) == expected


def by_the_pixel(image, down, right, mirrored, fill):
    """The same, pixel by pixel."""
    h, w, _ = image.shape
    result = torch.zeros_like(image)
    for y in range(h):
        for x in range(w):
            column = w - 1 - x if mirrored else x
            row, column = y - down, column - right
            if fill == "nearest":
                row, column = min(max(row, 0), h - 1), min(max(column, 0), w - 1)
            if 0 <= row < h and 0 <= column < w:
                result[y, x] = image[row, column]
    return result


@pytest.mark.parametrize("fill", ["zero", "nearest"])
def test_a_batch_is_moved_image_by_image(fill):
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (12, 5, 7, 3), dtype=np.uint8))
    moves = draw_moves(rng, 12, (5, 7), 0.5, True)
    assert moves.mirrored.any()
    assert not moves.mirrored.all()
    one_by_one = zip(images, moves.down, moves.right, moves.mirrored, strict=True)
    expected = torch.stack([by_the_pixel(i, int(d), int(r), bool(m), fill) for i, d, r, m in one_by_one])
    assert torch.equal(augment(images, moves, fill), expected)


@pytest.mark.parametrize(("shift", "far"), [(0.1, 3), (0.125, 4), (0.0, 0)])
def test_shifts_reach_their_share_of_the_size(shift, far):
    moves = draw_moves(np.random.default_rng(0), 2000, (32, 32), shift, False)
    assert set(moves.down.tolist()) == set(moves.right.tolist()) == set(range(-far, far + 1))
    assert not moves.mirrored.any()


def test_normalise_by_channel():
    pixels = torch.tensor([[0, 10], [4, 30]], dtype=torch.uint8).view(2, 1, 1, 2)
    normalise = Normalise.fit(Images(pixels, torch.zeros(2)), "channel")
    assert normalise.mean.tolist() == [2, 20]  # (0 + 4) / 2, (10 + 30) / 2
    assert normalise.scale.tolist() == [2, 10]
    assert normalise(pixels).flatten().tolist() == [-1, -1, 1, 1]


def test_normalise_by_the_mean_image():
    pixels = torch.tensor([[0, 10], [255, 20]], dtype=torch.uint8).view(2, 1, 2, 1)
    normalise = Normalise.fit(Images(pixels, torch.zeros(2)), "pixel_mean")
    assert normalise.mean.flatten().tolist() == [127.5, 15]
    assert torch.allclose(normalise(pixels).flatten(), torch.tensor([-0.5, -5 / 255, 0.5, 5 / 255]))


def batches(ranks=None, **values):
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8))
    numbered = Images(images, torch.arange(40))
    config = compose("fast", values={"batch": 12, **values})
    return Batches(config, numbered, Normalise.fit(numbered, "channel"), ranks or Ranks())


def test_an_epoch_has_every_image_at_most_once():
    seen = torch.cat([batches()(3, step)[1] for step in range(3)])
    assert len(batches()) == 3  # 40 // 12
    assert len(set(seen.tolist())) == 36


def test_a_batch_is_a_pure_function_of_seed_epoch_and_step():
    one, other = batches(), batches()
    for position in ((0, 0), (5, 2), (0, 1)):  # in any order
        other(*position)
    assert torch.equal(one(5, 2)[0], other(5, 2)[0])


def test_every_epoch_and_seed_has_another_order():
    orders = [batches(seed=seed).indices(epoch, 0).tolist() for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len(set(map(tuple, orders))) == 6


def test_every_step_epoch_and_seed_moves_images_otherwise():
    """All images are the same here, so that only their moves can differ."""
    found = []
    for seed in (0, 1):
        same = batches(seed=seed)
        same.images = Images(same.images.pixels[:1].expand(40, 8, 8, 3), same.images.labels)
        found += [same(epoch, step)[0].flatten().tolist() for epoch in (0, 1) for step in (0, 1)]
    assert len(set(map(tuple, found))) == 8


@pytest.mark.parametrize("size", [2, 3, 4])
def test_ranks_share_the_batch_that_one_would_take(size):
    whole, labels = batches()(1, 2)
    parts = [batches(Ranks(rank, size))(1, 2) for rank in range(size)]
    assert torch.equal(torch.cat([x for x, _ in parts]), whole)
    assert torch.equal(torch.cat([y for _, y in parts]), labels)


def test_the_input_is_channels_last_unless_told():
    assert batches()(0, 0)[0].is_contiguous(memory_format=torch.channels_last)
    assert batches(**{"machine.channels_last": False})(0, 0)[0].is_contiguous()


@pytest.mark.parametrize(
    ("batch", "ranks", "needed"),
    [(41, 1, ""), (9, 2, "a multiple of the 2 ranks and "), (1, 2, "a multiple of the 2 ranks and ")],
)
def test_a_batch_that_cannot_be_shared_is_said(batch, ranks, needed):
    with pytest.raises(ValueError, match=f"batch must be {needed}at most 40 images, got {batch}"):
        batches(Ranks(0, ranks), batch=batch)


def test_streams_are_those_of_numpys_philox():
    """Their counter-based bits never change; a first draw keeps the seeding from changing unseen."""
    assert stream(0, "order", 0).bit_generator.state["bit_generator"] == "Philox"
    drawn = {
        int(stream(seed, p, e).bit_generator.random_raw())
        for seed in (0, 1)
        for p in ("order", "augmentation")
        for e in (0, 1)
    }
    assert len(drawn) == 8

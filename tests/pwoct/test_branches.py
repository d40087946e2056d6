import pytest
import torch

from pwoct.branches import (
    Octave,
    OctBatchNorm2d,
    add,
    as_octave,
    join,
    per_branch,
    pool,
    rebranch,
    strided,
    upsample,
)
from tests.pwoct import reference

FORMATS = [torch.contiguous_format, torch.channels_last]


def image(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_a_tensor_is_a_high_branch():
    x = image(1, 2, 3, 3)
    assert as_octave(x) == Octave(x, None)
    both = Octave(x, x)
    assert as_octave(both) is both


def test_pool_averages_what_exists_at_odd_edges():
    x = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    assert pool(x).flatten().tolist() == [(1 + 2 + 4 + 5) / 4, (3 + 6) / 2, (7 + 8) / 2, 9]


@pytest.mark.parametrize("by", [2, 3])
@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 7), (8, 3)])
def test_pool_is_the_reference(size, by):
    x = image(2, 3, *size)
    torch.testing.assert_close(pool(x, by), reference.pool(x, by), rtol=0, atol=1e-15)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("size", [(4, 6), (5, 6), (5, 7), (1, 1)])
def test_upsample_is_the_reference_in_each_memory_format(size, memory_format):
    x = pool(image(2, 3, *size)).contiguous(memory_format=memory_format)
    assert torch.equal(upsample(x, size), reference.upsample(x, *size))


@pytest.mark.parametrize("memory_format", FORMATS)
def test_upsample_keeps_the_memory_format(memory_format):
    y = upsample(image(2, 3, 4, 5).contiguous(memory_format=memory_format))
    assert y.is_contiguous(memory_format=memory_format)


def test_upsample_of_a_strided_view():
    x = image(2, 6, 4, 4)[:, ::2, 1:, :-1]
    assert torch.equal(upsample(x), reference.upsample(x, 6, 6))


@pytest.mark.parametrize("f", [pool, upsample])
def test_gradients(f):
    assert torch.autograd.gradcheck(f, image(1, 2, 3, 4).requires_grad_())


def test_join_adds_what_there_is():
    x = image(1, 2, 3, 3)
    assert join(x, None) is x
    assert join(None, x) is x
    assert join(None, None) is None
    assert torch.equal(join(x, x), 2 * x)


def test_join_does_not_broadcast():
    with pytest.raises(ValueError, match=r"must have one shape, got \[1, 2, 3, 3\] and \[1, 2, 1, 1\]"):
        join(image(1, 2, 3, 3), image(1, 2, 1, 1))


def test_add_needs_the_same_branches():
    x = image(1, 2, 4, 4)
    assert torch.equal(add(Octave(x, None), Octave(x, None)).high, 2 * x)
    with pytest.raises(ValueError, match="must have the same branches, but one has no low"):
        add(Octave(x, pool(x)), Octave(x, None))


def test_per_branch_skips_what_is_missing():
    x = image(1, 2, 4, 4)
    assert per_branch(torch.neg, Octave(None, x)).high is None
    assert torch.equal(per_branch(torch.neg, Octave(None, x)).low, -x)


class TestRebranch:
    def test_split(self):
        x = image(2, 8, 5, 5)
        y = rebranch(Octave(x, None), Octave(x[:, :6], pool(x[:, :2])))
        assert torch.equal(y.high, x[:, :6])
        torch.testing.assert_close(y.low, reference.pool(x[:, 6:]), rtol=0, atol=1e-15)

    def test_concatenate(self):
        x = image(2, 8, 5, 5)
        low = image(2, 3, 3, 3, seed=1)
        y = rebranch(Octave(x[:, :5], low), Octave(x, None))
        assert y.low is None
        assert torch.equal(y.high, torch.cat((x[:, :5], reference.upsample(low, 5, 5)), 1))

    def test_all_to_low_and_back(self):
        x = image(2, 8, 4, 4)
        low = rebranch(Octave(x, None), Octave(None, pool(x)))
        assert low.high is None
        assert torch.equal(low.low, pool(x))
        assert torch.equal(rebranch(low, Octave(x, None)).high, reference.upsample(pool(x), 4, 4))

    def test_the_same_branches_stay(self):
        x = Octave(image(1, 2, 4, 4), image(1, 2, 2, 2))
        assert rebranch(x, x) is x


class TestBatchNorm:
    def test_each_branch_by_itself(self):
        bn = OctBatchNorm2d(8, 0.25).double()
        x = Octave(image(4, 6, 4, 4), 3 + 2 * image(4, 2, 2, 2))
        y = bn(x)
        for branch in y:
            assert branch.mean((0, 2, 3)).abs().max() < 1e-12
            assert (branch.var((0, 2, 3), unbiased=False) - 1).abs().max() < 1e-4  # eps = 1e-5
        assert [name for name, _ in bn.named_children()] == ["high", "low"]

    @pytest.mark.parametrize(("alpha", "child", "absent"), [(0, "high", "low"), (1, "low", "high")])
    def test_at_the_ends_one_branch_exists(self, alpha, child, absent):
        bn = OctBatchNorm2d(8, alpha)
        assert [name for name, _ in bn.named_children()] == [child]
        x = Octave(**{child: torch.zeros(2, 8, 4, 4), absent: None})
        assert getattr(bn(x), absent) is None
        assert getattr(bn(x), child).shape == (2, 8, 4, 4)

    def test_a_missing_branch(self):
        with pytest.raises(ValueError, match="this layer needs a low branch, got none"):
            OctBatchNorm2d(8, 0.5)(Octave(torch.zeros(2, 4, 4, 4), None))
        with pytest.raises(ValueError, match="this layer needs no low branch, got one"):
            OctBatchNorm2d(8)(Octave(torch.zeros(2, 8, 4, 4), torch.zeros(2, 8, 2, 2)))

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_a_tensor_is_a_high_branch(self, n):
        bn, x = OctBatchNorm2d(8).double(), image(n, 8, 4, 4)
        y = bn(x)
        assert y.low is None
        assert torch.equal(y.high, bn.high(x))
        assert torch.equal(bn((x, None)).high, y.high)

    def test_a_batch_and_its_channels_are_needed(self):
        bn = OctBatchNorm2d(8, 0.25)
        with pytest.raises(ValueError, match=r"^this layer needs 6 channels in the high branch, got 4$"):
            bn((torch.zeros(2, 4, 4, 4), torch.zeros(2, 4, 2, 2)))
        with pytest.raises(ValueError, match=r"^this layer needs 2 channels in the low branch, got 3$"):
            bn((torch.zeros(2, 6, 4, 4), torch.zeros(2, 3, 2, 2)))
        with pytest.raises(ValueError, match=r"must be a batch .*, got shape \(8, 4, 4\): x\[None\] is"):
            OctBatchNorm2d(8)(torch.zeros(8, 4, 4))


def test_each_side_is_strided():
    assert strided((35, 32), 2) == (18, 16)
    assert strided((4, 9), 3) == (2, 3)

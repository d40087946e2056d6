from costmodel.convention import Cost
from costmodel.operators import elementwise


def test_batch_normalisation_multiplies_and_adds() -> None:
    assert elementwise.batch_norm(16, 16 * 64) == Cost(
        bn_weights=2 * 16,  # scale and shift
        bn_buffers=2 * 16,  # running mean and variance
        bn_ops=2 * 16 * 64,
        other_outputs=16 * 64,
        elements_read=16 * 64 + 4 * 16,
        elements_written=16 * 64,
        calls=1,
    )


def test_activation_works_once_an_element() -> None:
    expected = Cost(activation_ops=50, other_outputs=50, elements_read=50, elements_written=50, calls=1)
    assert elementwise.activation(50) == expected


def test_pooling_adds_every_input_once() -> None:
    expected = Cost(pool_ops=64, other_outputs=16, elements_read=64, elements_written=16, calls=1)
    assert elementwise.average_pool(64, 16) == expected


def test_upsampling_writes_every_output_once() -> None:
    expected = Cost(upsample_ops=64, other_outputs=64, elements_read=16, elements_written=64, calls=1)
    assert elementwise.upsample(16, 64) == expected


def test_adding_reads_two_and_writes_one() -> None:
    expected = Cost(add_ops=30, other_outputs=30, elements_read=2 * 30, elements_written=30, calls=1)
    assert elementwise.add(30) == expected


def test_concatenating_moves_and_calculates_nothing() -> None:
    cost = elementwise.concatenate(30)
    assert cost == Cost(other_outputs=30, elements_read=30, elements_written=30, calls=1)
    assert cost.element_ops == 0


def test_padding_copies_elements_and_writes_zeros() -> None:
    cost = elementwise.zero_pad(30, 50)
    assert cost == Cost(other_outputs=50, elements_read=30, elements_written=50, calls=1)

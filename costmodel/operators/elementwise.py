"""Operators without matrix products: normalisation, activation, pooling, upsampling, sums, concatenation.

Their work is counted in element operations, separately from the MACs; the constants are those of
`costmodel.convention`. `elements` are those of the whole batch.
"""

from __future__ import annotations

from costmodel.convention import Cost
from costmodel.sizes import Size, remembered


@remembered
def batch_norm(channels: Size, elements: Size) -> Cost:
    """Return the cost of normalisation: a multiplication and an addition per element, as in inference.

    >>> batch_norm(16, 1024).bn_ops
    2048
    """
    return Cost(
        bn_weights=2 * channels,
        bn_buffers=2 * channels,
        other_outputs=elements,
        elements_read=elements + 4 * channels,
        elements_written=elements,
        calls=1,
        bn_ops=2 * elements,
    )


@remembered
def activation(elements: Size) -> Cost:
    """Return the cost of an element-wise activation such as ReLU."""
    return _through(elements, elements, Cost(activation_ops=elements))


@remembered
def average_pool(elements: Size, outputs: Size) -> Cost:
    """Return the cost of averaging over windows that do not overlap: every input is added once."""
    return _through(elements, outputs, Cost(pool_ops=elements))


@remembered
def upsample(elements: Size, outputs: Size) -> Cost:
    """Return the cost of nearest-neighbour upsampling: every output is written once."""
    return _through(elements, outputs, Cost(upsample_ops=outputs))


@remembered
def add(elements: Size) -> Cost:
    """Return the cost of adding two tensors."""
    return _through(2 * elements, elements, Cost(add_ops=elements))


@remembered
def concatenate(elements: Size) -> Cost:
    """Return the cost of concatenating: no arithmetic, but every element is copied."""
    return _through(elements, elements, Cost())


@remembered
def zero_pad(elements: Size, outputs: Size) -> Cost:
    """Return the cost of appending zeros: no arithmetic, but elements are copied and zeros written."""
    return _through(elements, outputs, Cost())


def _through(read: Size, written: Size, work: Cost) -> Cost:
    return work + Cost(other_outputs=written, elements_read=read, elements_written=written, calls=1)

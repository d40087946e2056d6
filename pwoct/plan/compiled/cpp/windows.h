// Pooling over windows of any size, and convolutions of each channel with its own filter.

#pragma once

#include "kernels.h"

// How a window's pixels become one, in the order of operations.py.
enum {
  MAXIMUM,       // NaN if one of them is
  MEAN_WITH_PAD, // pixels of the padding count as zeros
  MEAN,          // of the pixels that exist
};

// The pixels of an input that an output pixel reads along one direction: [begin, end), `step` apart; `all` counts
// those of the padding too.
struct Range {
  int64_t begin, end, step, all;
};

// Windows of a fixed size; without a stride, those that divide `size` into `out` parts (adaptive pooling).
INLINE Range range_of(const Operation &op, int64_t at, int64_t size, int64_t out, int64_t kernel, int64_t pad) {
  if (op.stride == 0) {
    const int64_t begin = at * size / out, end = ((at + 1) * size + out - 1) / out;
    return {begin, end, 1, end - begin};
  }
  int64_t begin = at * op.stride - pad, end = begin + (kernel - 1) * op.dilation + 1;
  const int64_t all = (end < size + pad ? end : size + pad) - begin;
  while (begin < 0) begin += op.dilation;
  return {begin, end < size ? end : size, op.dilation, all};
}

template <class Type> static void pool_windows(const Operation &op, const Maps<Type> &maps) {
  constexpr int GROUP = Type::GROUP;
  typedef typename Type::Scalar Scalar;
  typedef typename Type::Sum Sum;
  typename Type::Vector *output = maps.output;
  const bool is_maximum = op.function == MAXIMUM;
  for (int64_t group = 0; group < op.groups; ++group)
    for (int64_t row = 0; row < op.out_height; ++row) {
      const Range rows = range_of(op, row, op.height, op.out_height, op.kernel_height, op.pad_height);
      for (int64_t column = 0; column < op.out_width; ++column) {
        const Range columns = range_of(op, column, op.width, op.out_width, op.kernel_width, op.pad_width);
        Sum found[GROUP], pixel[GROUP];
        for (int i = 0; i < GROUP; ++i) found[i] = Sum{} + (is_maximum ? (Scalar)-__builtin_inf() : 0);
        int64_t count = 0;
        for (int64_t y = rows.begin; y < rows.end; y += rows.step)
          for (int64_t x = columns.begin; x < columns.end; x += columns.step, ++count) {
            Type::unpack(maps.input[(group * op.height + y) * op.width + x], pixel);
            for (int i = 0; i < GROUP; ++i)
              if (is_maximum) found[i] = ((pixel[i] > found[i]) | (pixel[i] != pixel[i])) ? pixel[i] : found[i];
              else found[i] += pixel[i];
          }
        const auto pixels = (Scalar)(op.function == MEAN_WITH_PAD ? rows.all * columns.all : count);
        if (!is_maximum)
          for (int i = 0; i < GROUP; ++i) found[i] *= (Scalar)op.scale / pixels;
        *output++ = Type::pack(found);
      }
    }
}

// One row of one output channel, which reads input channel `from`; `taps` are its filter's. In a vector of a
// group of channels, the others are computed by other calls.
template <class Type, bool AT_EDGE>
INLINE void add_taps(const Operation &op, const typename Type::Vector *map, int64_t row, int64_t column, int lane,
                     const typename Type::Scalar *taps, typename Type::Sum (&sums)[PIXELS]) {
  constexpr int GROUP = Type::GROUP;
  for (int64_t tap_row = 0; tap_row < op.kernel_height; ++tap_row) {
    const int64_t y = row * op.stride - op.pad_height + tap_row * op.dilation;
    if (y < 0 || y >= op.height) continue;
    const typename Type::Vector *line = map + y * op.width;
    for (int64_t tap = 0; tap < op.kernel_width; ++tap)
      for (int pixel = 0; pixel < PIXELS; ++pixel) {
        const int64_t x = (column + pixel) * op.stride - op.pad_width + tap * op.dilation;
        if (AT_EDGE && (x < 0 || x >= op.width)) continue;
        typename Type::Sum channels[GROUP];
        Type::unpack(line[x], channels);
        sums[pixel] += channels[lane] * taps[tap_row * op.kernel_width + tap];
      }
  }
}

// Depthwise convolution: output channel c reads input channel c / multiplier, where op.spread is the multiplier.
// `filters` has the taps of each output channel; bias may be null.
template <class Type>
static void convolve_depthwise(const Operation &op, const Maps<Type> &maps, const typename Type::Scalar *filters,
                               const typename Type::Scalar *bias) {
  constexpr int GROUP = Type::GROUP;
  typedef typename Type::Sum Sum;
  const int64_t taps = op.kernel_height * op.kernel_width, pixels = op.height * op.width;
  for (int64_t channel = 0; channel < op.channels; channel += GROUP)
    for (int64_t row = 0; row < op.out_height; ++row)
      for (int64_t column = 0; column < op.out_width; column += PIXELS) {
        Sum sums[GROUP][PIXELS];
        const int64_t first = column * op.stride - op.pad_width;
        const int64_t last = first + (PIXELS - 1) * op.stride + (op.kernel_width - 1) * op.dilation;
        for (int i = 0; i < GROUP; ++i) {
          for (int pixel = 0; pixel < PIXELS; ++pixel) sums[i][pixel] = Sum{} + (bias ? bias[channel + i] : 0);
          const int64_t from = (channel + i) / op.spread, group = from / GROUP;
          if (group >= op.groups) continue; // a channel that only fills the group
          const typename Type::Vector *map = maps.input + group * pixels;
          const typename Type::Scalar *own = filters + (channel + i) * taps;
          const int lane = from % GROUP;
          if (first < 0 || last >= op.width) add_taps<Type, true>(op, map, row, column, lane, own, sums[i]);
          else add_taps<Type, false>(op, map, row, column, lane, own, sums[i]);
        }
        for (int pixel = 0; pixel < PIXELS && column + pixel < op.out_width; ++pixel) {
          Sum found[GROUP];
          for (int i = 0; i < GROUP; ++i) found[i] = op.relu ? rectify(sums[i][pixel]) : sums[i][pixel];
          const int64_t place = (channel / GROUP * op.out_height + row) * op.out_width + column + pixel;
          maps.output[place] = Type::pack(found);
        }
      }
}

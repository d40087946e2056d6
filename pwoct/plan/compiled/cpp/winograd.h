// 3x3 convolutions with fewer products: Winograd's F(2x2, 3x3) (Lavin and Gray, 2016, section 4.1).
//
// A tile of 2x2 output pixels needs 4x4 input pixels d. With G of weights.py and
//
//        1  0 -1  0
//   B' = 0  1  1  0      A' = 1  1  1  0
//        0 -1  1  0           0  1 -1 -1
//        0  1  0 -1
//
// it is A' m A, where m is the sum over channels of (G g G') * (B' d B), multiplied element by element: 16
// products per channel instead of 36. An infinite pixel turns its whole tile into NaN.

#pragma once

#include "kernels.h"

constexpr int TILES = 2; // of a row, transformed together

// The place of a position (row, column) of tiles in the order of products: its part, and which of the four sums.
struct Place {
  int part, sum;
};
constexpr Place PLACES[4][4] = {
    {{3, 0}, {1, 0}, {1, 1}, {3, 1}},
    {{2, 0}, {0, 0}, {0, 1}, {2, 1}},
    {{2, 2}, {0, 2}, {0, 3}, {2, 3}},
    {{3, 2}, {1, 2}, {1, 3}, {3, 3}},
};

// One row, `j`, of B' d B of TILES tiles of a group of channels; d begins at (top, left). AT_EDGE: some of the
// pixels may lie outside the map; they count as zero.
template <class Type, bool AT_EDGE>
INLINE void transform_inputs(const typename Type::Vector *map, int64_t height, int64_t width, int64_t top, int64_t left,
                             int j, typename Type::Sum (&found)[TILES][4][Type::GROUP]) {
  typedef typename Type::Sum Sum;
  constexpr int GROUP = Type::GROUP, COLUMNS = 2 * TILES + 2;
  const int64_t first = top + (j == 0 ? 0 : j == 2 ? 2 : 1), second = top + (j == 3 ? 3 : j == 2 ? 1 : 2);
  const auto read = [&](int64_t y, int64_t x, Sum(&channels)[GROUP]) {
    const bool is_outside = AT_EDGE && (x < 0 || x >= width || y < 0 || y >= height);
    Type::unpack(is_outside ? typename Type::Vector{} : map[y * width + x], channels);
  };
  Sum lines[GROUP][COLUMNS];
  for (int i = 0; i < COLUMNS; ++i) {
    Sum x[GROUP], y[GROUP];
    read(first, left + i, x);
    read(second, left + i, y);
    for (int channel = 0; channel < GROUP; ++channel)
      lines[channel][i] = j == 1 ? x[channel] + y[channel] : x[channel] - y[channel];
  }
  for (int tile = 0; tile < TILES; ++tile)
    for (int channel = 0; channel < GROUP; ++channel) {
      const Sum *x = lines[channel] + 2 * tile;
      found[tile][0][channel] = x[0] - x[2];
      found[tile][1][channel] = x[1] + x[2];
      found[tile][2][channel] = x[2] - x[1];
      found[tile][3][channel] = x[1] - x[3];
    }
}

// Stores the transformed pixels of TILES tiles of one group of channels: [tile][part][group][sum].
template <class Type, bool AT_EDGE>
INLINE void transform_tiles(const Operation &op, const typename Type::Vector *map, int64_t top, int64_t left,
                            typename Type::Factor *output) {
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    typename Type::Sum found[TILES][4][Type::GROUP];
    transform_inputs<Type, AT_EDGE>(map, op.height, op.width, top, left, j, found);
    for (int tile = 0; tile < TILES; ++tile)
      for (int i = 0; i < 4; ++i) {
        const Place place = PLACES[j][i];
        output[(tile * 4 + place.part) * op.groups * 4 + place.sum] = Type::factor(found[tile][i]);
      }
    // Pixels of channel pairs are read again: there are too few registers for all rows.
    if constexpr (Type::GROUP > 1) asm volatile("" ::: "memory");
  }
}

// Adds the products of all input channels to 4 x COUNT sums.
template <class Type, int COUNT>
INLINE void add_products(int64_t groups, const typename Type::Factor *inputs, const typename Type::Weight *weight,
                         typename Type::Sum (&sums)[4][COUNT]) {
  do { // there is at least one group; a loop that may run zero times costs copies of all sums
    for (int position = 0; position < 4; ++position)
      for (int channel = 0; channel < COUNT; ++channel)
        sums[position][channel] =
            Type::multiply_add(sums[position][channel], inputs[position], weight[position * COUNT + channel]);
    inputs += 4;
    weight += 4 * COUNT;
  } while (--groups);
}

// x, y = x + y, x - y
template <class Sum, int COUNT> INLINE void butterfly(Sum (&x)[COUNT], Sum (&y)[COUNT]) {
  for (int channel = 0; channel < COUNT; ++channel) {
    const Sum sum = x[channel] + y[channel];
    y[channel] = x[channel] - y[channel];
    x[channel] = sum;
  }
}

// Finishes COUNT channels of the four pixels of a tile as `store` does, whole tiles at a time: adds the bias and the
// other maps, rectifies, stores, and stores the average.
template <class Type, int COUNT>
INLINE void store_tile(const Operation &op, const Maps<Type> &maps, const Weights<Type> &weights, int64_t channel,
                       int64_t row, int64_t column, typename Type::Sum (&sums)[4][COUNT]) {
  constexpr int GROUP = Type::GROUP;
  typedef typename Type::Vector Vector;
  typedef typename Type::Scalar Scalar;
  const int64_t width = op.out_width, plane = op.out_height * width, pixels[4] = {0, 1, width, width + 1};
  const int64_t place = channel / GROUP * plane + row * width + column;
  if (weights.bias)
    for (int i = 0; i < COUNT; ++i)
      for (int pixel = 0; pixel < 4; ++pixel) sums[pixel][i] += weights.bias[channel + i];
  typename Type::Sum more[GROUP];
  if (maps.plus)
    for (int first = 0; first < COUNT; first += GROUP)
      for (int pixel = 0; pixel < 4; ++pixel) {
        Type::unpack(maps.plus[place + first / GROUP * plane + pixels[pixel]], more);
        for (int i = 0; i < GROUP; ++i) sums[pixel][first + i] += more[i];
      }
  if (maps.doubled) {
    const int64_t half = op.doubled_height * op.doubled_width;
    const Vector *doubled = maps.doubled + channel / GROUP * half + row / 2 * op.doubled_width + column / 2;
    for (int first = 0; first < COUNT; first += GROUP) {
      Type::unpack(doubled[first / GROUP * half], more);
      for (int pixel = 0; pixel < 4; ++pixel)
        for (int i = 0; i < GROUP; ++i) sums[pixel][first + i] += more[i] * (Scalar)op.scale;
    }
  }
  if (op.relu)
    for (int i = 0; i < COUNT; ++i)
      for (int pixel = 0; pixel < 4; ++pixel) sums[pixel][i] = rectify(sums[pixel][i]);
  for (int first = 0; first < COUNT; first += GROUP)
    for (int pixel = 0; pixel < 4; ++pixel) {
      for (int i = 0; i < GROUP; ++i) more[i] = sums[pixel][first + i];
      maps.output[place + first / GROUP * plane + pixels[pixel]] = Type::pack(more);
    }
  if (maps.pooled) {
    Vector *pooled = maps.pooled + channel / GROUP * (plane / 4) + row / 2 * (width / 2) + column / 2;
    for (int first = 0; first < COUNT; first += GROUP) {
      for (int i = 0; i < GROUP; ++i)
        more[i] = (sums[0][first + i] + sums[1][first + i] + sums[2][first + i] + sums[3][first + i]) * (Scalar)0.25;
      pooled[first / GROUP * (plane / 4)] = Type::pack(more);
    }
  }
}

// Computes COUNT channels of a tile from its transformed inputs. The sums stay in registers: A' m A is computed
// as products are added, since rows 1 and 2 of m become their sum and difference before rows 0 and 3 join them,
// and columns likewise. `weights` have the positions in the order in which they are read here, with their signs,
// and those of the first two parts halved; see `winograd_transform` in weights.py. The first `groups` of the
// transformed inputs are read.
template <class Type, int COUNT>
static void multiply_tile(const Operation &op, const Maps<Type> &maps, const typename Type::Factor *inputs,
                          int64_t groups, const Weights<Type> &weights, int64_t channel, int64_t row, int64_t column) {
  typename Type::Sum sums[4][COUNT] = {}; // of rows 0 and 1, each with columns 0 and 1
  const auto add = [&](int part) {
    add_products<Type, COUNT>(groups, inputs + part * op.groups * 4, weights.weight + part * groups * 4 * COUNT, sums);
  };
  const auto join_rows = [&] { butterfly(sums[0], sums[2]), butterfly(sums[1], sums[3]); };
  const auto join_columns = [&] { butterfly(sums[0], sums[1]), butterfly(sums[2], sums[3]); };
  add(0);
  join_rows();
  add(1);
  join_columns();
  join_rows(); // of halves, which restores rows 1 and 2
  add(2);
  join_rows();
  add(3);
  store_tile<Type, COUNT>(op, maps, weights, channel, row, column, sums);
}

// How many of the remaining channels of a tile are computed together: an even number while at least two remain,
// and few enough to leave some of the 32 registers free.
constexpr int64_t tile_channels(int64_t left) {
  return left > 8 || left == 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

template <class Type>
static void multiply_channels(const Operation &op, const Maps<Type> &maps, const typename Type::Factor *inputs,
                              int64_t groups, Weights<Type> weights, int64_t row, int64_t column) {
  for (int64_t channel = 0; channel < op.channels;) {
    const int64_t count = tile_channels(op.channels - channel);
    if (count == 6) multiply_tile<Type, 6>(op, maps, inputs, groups, weights, channel, row, column);
    else if (count == 4) multiply_tile<Type, 4>(op, maps, inputs, groups, weights, channel, row, column);
    else if (count == 2) multiply_tile<Type, 2>(op, maps, inputs, groups, weights, channel, row, column);
    else if constexpr (Type::GROUP == 1)
      multiply_tile<Type, 1>(op, maps, inputs, groups, weights, channel, row, column);
    channel += count;
    weights.weight += 16 * groups * count;
  }
}

// Bytes of scratch that `convolve_tiles` needs.
template <class Type> static int64_t tiles_bytes(const Operation &op) {
  return 16 * TILES * op.groups * sizeof(typename Type::Factor);
}

// A 3x3 convolution of stride 1 of all pixels; the output's height is a multiple of 2, its width of 2 TILES. If
// there is a second output, the filters that make it from `input` follow the others; it is the plain sum of products.
template <class Type>
static void convolve_tiles(const Operation &op, const Maps<Type> &maps, const Weights<Type> &weights, void *scratch) {
  typedef typename Type::Vector Vector;
  Operation second = op;
  second.channels = op.second_channels, second.relu = 0;
  const Maps<Type> of_second = {maps.input, nullptr, nullptr, maps.second, nullptr, nullptr, nullptr, nullptr};
  const Weights<Type> to_second = {weights.weight + 16 * op.groups * op.channels, nullptr};
  auto *inputs = static_cast<typename Type::Factor *>(scratch);
  for (int64_t row = 0; row < op.out_height; row += 2)
    for (int64_t column = 0; column < op.out_width; column += 2 * TILES) {
      const int64_t top = row - op.pad_height, left = column - op.pad_width;
      const bool is_inside = top >= 0 && top + 4 <= op.height && left >= 0 && left + 2 * TILES + 2 <= op.width;
      for (int64_t group = 0; group < op.groups; ++group) {
        const int64_t of_source = group - (op.groups - op.source_groups);
        const Vector *map = of_source < 0 ? maps.input + group * op.height * op.width
                                          : maps.source + of_source * op.height * op.width;
        if (is_inside) transform_tiles<Type, false>(op, map, top, left, inputs + group * 4);
        else transform_tiles<Type, true>(op, map, top, left, inputs + group * 4);
      }
      for (int tile = 0; tile < TILES; ++tile) {
        const auto *of_tile = inputs + tile * 16 * op.groups;
        const int64_t x = column + 2 * tile;
        multiply_channels(op, maps, of_tile, op.groups, weights, row, x);
        if (maps.second)
          multiply_channels(second, of_second, of_tile, op.groups - op.source_groups, to_second, row, x);
      }
    }
}

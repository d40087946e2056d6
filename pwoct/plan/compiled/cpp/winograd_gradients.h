// Weight gradients of 3x3 convolutions with fewer products: the gradient of G g G' is the sum over tiles and images of
// (A dy A') * (B' d B), 16 products per pair of channels and tile instead of 36; see winograd.h.

#pragma once

#include "weight_gradients.h"
#include "winograd.h"

constexpr int SIDE = 4; // input and output channels whose products are accumulated together: SIDE x SIDE
constexpr int64_t TRANSFORMED = 32; // pairs of tiles, before they are multiplied

// One row, `j`, of A dy A' of TILES tiles of a group of channels; its last row and column are negated.
template <class Type>
INLINE void transform_gradients(const typename Type::Vector *map, int64_t width, int64_t top, int64_t left, int j,
                                typename Type::Sum (&found)[TILES][4][Type::GROUP]) {
  typedef typename Type::Sum Sum;
  constexpr int GROUP = Type::GROUP;
  const typename Type::Vector *pixels = map + top * width + left;
  Sum lines[GROUP][2 * TILES];
  for (int i = 0; i < 2 * TILES; ++i) {
    Sum x[GROUP], y[GROUP];
    Type::unpack(pixels[i], x);
    Type::unpack(pixels[width + i], y);
    for (int channel = 0; channel < GROUP; ++channel)
      lines[channel][i] = j == 0   ? x[channel]
                          : j == 1 ? x[channel] + y[channel]
                          : j == 2 ? x[channel] - y[channel]
                                   : y[channel];
  }
  for (int tile = 0; tile < TILES; ++tile)
    for (int channel = 0; channel < GROUP; ++channel) {
      const Sum *x = lines[channel] + 2 * tile;
      found[tile][0][channel] = x[0];
      found[tile][1][channel] = x[0] + x[1];
      found[tile][2][channel] = x[0] - x[1];
      found[tile][3][channel] = x[1];
    }
}

// Stores tiles of a group of channels; see `transform_strip`.
template <class Type, class Pixel>
INLINE void store_tiles(const typename Type::Sum (&found)[TILES][4][Type::GROUP], int64_t channels,
                        int64_t vectors, typename Pixel::Vector *output) {
  for (int i = 0; i < 4; ++i)
    for (int channel = 0; channel < Type::GROUP; ++channel)
      for (int first = 0; first < TILES; first += Pixel::AT_ONCE) {
        typename Type::Sum tiles[Pixel::AT_ONCE];
        for (int tile = 0; tile < Pixel::AT_ONCE; ++tile) tiles[tile] = found[first + tile][i][channel];
        output[(i * channels + channel) * vectors + first / Pixel::AT_ONCE] = Pixel::pack(tiles);
      }
}

// Adds to sums[SIDE x SIDE] the products of channels of both maps, over all their vectors.
template <class Type, class Pixel>
INLINE void add_tile_products(const typename Pixel::Vector *inputs, const typename Pixel::Vector *gradients,
                              int64_t vectors, typename Type::Scalar *sums) {
  typename Type::Sum products[SIDE * SIDE] = {};
  int64_t vector = 0;
  do {
    for (int in = 0; in < SIDE; ++in)
      for (int out = 0; out < SIDE; ++out)
        products[in * SIDE + out] =
            Pixel::multiply_add(products[in * SIDE + out], Pixel::factor(inputs[in * vectors + vector]),
                                Pixel::factor(gradients[out * vectors + vector]));
  } while (++vector < vectors);
  add_up<SIDE * SIDE>(products, sums);
}

// What is multiplied: channels of one or two inputs and of the gradients of one or two outputs. No filter leads
// from the second input to the second output.
struct Channels {
  int64_t inputs, outputs;               // of both
  int64_t first_inputs, first_outputs;   // of the first ones
  explicit Channels(const Operation &op)
      : inputs(op.groups), outputs(op.channels + op.second_channels), first_inputs(op.groups - op.source_groups),
        first_outputs(op.channels) {}
  int64_t products() const { return inputs * first_outputs + first_inputs * (outputs - first_outputs); }

  // Calls `f` with the first input and output channel of each block of SIDE x SIDE filters.
  template <class F> void each_block(const F &f) const {
    for (int64_t in = 0; in < inputs; in += SIDE)
      for (int64_t out = 0; out < (in < first_inputs ? outputs : first_outputs); out += SIDE) f(in, out);
  }
};

// The gradients of filters from some input channels to some output channels: those from (in, out), `inputs` apart.
template <class Type>
INLINE typename Type::Scalar *block_of(const Operation &op, const Channels &channels, int64_t in, int64_t out,
                                       typename Type::Scalar *gradients, int64_t &inputs) {
  const bool of_source = in >= channels.first_inputs, of_second = out >= channels.first_outputs;
  inputs = of_source ? op.source_groups : channels.first_inputs;
  const int64_t place = of_source ? op.weight_of_source : of_second ? op.weight_of_second : op.weight;
  const int64_t row = of_second ? out - channels.first_outputs : out, column = of_source ? in - channels.first_inputs : in;
  return gradients + place - op.weight + (row * inputs + column) * 9;
}

// Adds G' u G of each filter, where the last row and column of u are negated. sums: [position][block of
// SIDE x SIDE filters][input channel][output channel].
template <class Type>
static void add_kernels(const Operation &op, const Channels &channels, const typename Type::Scalar *sums,
                        typename Type::Scalar *gradients) {
  typedef typename Type::Scalar Scalar;
  constexpr int KERNELS = SIDE * SIDE;
  const int64_t products = channels.products();
  channels.each_block([&](int64_t in, int64_t out) {
    Scalar rows[3][4][KERNELS], taps[9][KERNELS];
    for (int x = 0; x < 4; ++x)
      for (int i = 0; i < KERNELS; ++i) {
        const Scalar *u = sums + x * products + i;
        const int64_t step = 4 * products;
        const Scalar sum = u[step] + u[2 * step], difference = u[step] - u[2 * step];
        rows[0][x][i] = u[0] + (Scalar)0.5 * sum;
        rows[1][x][i] = (Scalar)0.5 * difference;
        rows[2][x][i] = (Scalar)0.5 * sum - u[3 * step];
      }
    for (int y = 0; y < 3; ++y)
      for (int i = 0; i < KERNELS; ++i) {
        const Scalar sum = rows[y][1][i] + rows[y][2][i], difference = rows[y][1][i] - rows[y][2][i];
        taps[3 * y][i] = rows[y][0][i] + (Scalar)0.5 * sum;
        taps[3 * y + 1][i] = (Scalar)0.5 * difference;
        taps[3 * y + 2][i] = (Scalar)0.5 * sum - rows[y][3][i];
      }
    int64_t inputs;
    Scalar *block = block_of<Type>(op, channels, in, out, gradients, inputs);
    for (int i = 0; i < KERNELS; ++i) {
      Scalar *kernel = block + (i % SIDE * inputs + i / SIDE) * 9;
      for (int tap = 0; tap < 9; ++tap) kernel[tap] += taps[tap][i];
    }
    sums += KERNELS;
  });
}

// A strip of an operation's rows of tiles, which is transformed before it is multiplied.
struct Strip {
  int64_t begin, end; // rows of tiles
  int64_t across;     // groups of TILES in a row
  int64_t vectors;    // that hold all tiles of one channel at one position
};

// The largest number of rows of tiles in a strip.
INLINE int64_t rows_of_strip(const Operation &op) {
  const int64_t across = op.width / (2 * TILES), all = op.height / 2;
  const int64_t rows = TRANSFORMED < across ? 1 : TRANSFORMED / across;
  return rows < all ? rows : all;
}

// Stores the tiles of channels [begin, end) of `channels`, transformed by `transform`, for products:
// [column of positions][channel][vector].
template <class Type, class Pixel, class Transform>
INLINE void transform_strip(const Strip &strip, int64_t begin, int64_t end, int64_t channels,
                            typename Pixel::Vector *output, const Transform &transform) {
  typename Type::Sum found[TILES][4][Type::GROUP];
  for (int64_t channel = begin; channel < end; channel += Type::GROUP) {
    typename Pixel::Vector *to = output + channel * strip.vectors;
    for (int64_t row = strip.begin; row < strip.end; ++row)
      for (int64_t column = 0; column < strip.across; ++column, to += TILES / Pixel::AT_ONCE) {
        transform((channel - begin) / Type::GROUP, row, column, found);
        store_tiles<Type, Pixel>(found, channels, strip.vectors, to);
      }
  }
}

// Row `j` of the tiles of one input: channels [begin, end) of all.
template <class Type, class Pixel>
INLINE void transform_inputs(const Operation &op, const Strip &strip, int64_t begin, int64_t end,
                             const typename Type::Vector *maps, int j, typename Pixel::Vector *output) {
  const auto transform = [&](int64_t group, int64_t row, int64_t column, auto &found) {
    const typename Type::Vector *map = maps + group * op.height * op.width;
    const int64_t top = 2 * row - 1, left = 2 * TILES * column - 1;
    const bool is_inside = top >= 0 && top + 4 <= op.height && column > 0 && column + 1 < strip.across;
    if (is_inside) transform_inputs<Type, false>(map, op.height, op.width, top, left, j, found);
    else transform_inputs<Type, true>(map, op.height, op.width, top, left, j, found);
  };
  transform_strip<Type, Pixel>(strip, begin, end, op.groups, output, transform);
}

// Row `j` of the tiles of the gradient of one output: channels [begin, end) of all.
template <class Type, class Pixel>
INLINE void transform_gradients(const Operation &op, const Strip &strip, int64_t begin, int64_t end,
                                const typename Type::Vector *maps, int j, typename Pixel::Vector *output) {
  const auto transform = [&](int64_t group, int64_t row, int64_t column, auto &found) {
    const typename Type::Vector *map = maps + group * op.height * op.width;
    transform_gradients<Type>(map, op.width, 2 * row, 2 * TILES * column, j, found);
  };
  transform_strip<Type, Pixel>(strip, begin, end, op.channels + op.second_channels, output, transform);
}

// Bytes of scratch that `tile_gradients` needs; a vector holds at least one tile.
template <class Type> static int64_t tile_gradients_bytes(const Operation &op) {
  const Channels channels(op);
  const int64_t vectors = rows_of_strip(op) * op.width / 2;
  return 4 * (channels.inputs + channels.outputs) * vectors * BYTES +
         16 * channels.products() * sizeof(typename Type::Scalar);
}

// Adds to the gradients of 3x3 filters of stride 1 and padding 1, between one or two inputs and outputs whose
// channels are multiples of SIDE; the height is a multiple of 2, the width of 2 TILES. `gradients` are those at
// op.weight.
template <class Type, class Pixel>
static void tile_gradients(const Operation &op, const Maps<Type> &maps, typename Type::Scalar *gradients,
                           void *scratch) {
  typedef typename Pixel::Vector Vector;
  const Channels channels(op);
  const int64_t products = channels.products(), tile_rows = op.height / 2, rows = rows_of_strip(op);
  auto *sums = static_cast<typename Type::Scalar *>(scratch);
  auto *inputs = reinterpret_cast<Vector *>(sums + 16 * products);
  for (int64_t i = 0; i < 16 * products; ++i) sums[i] = 0;
  Strip strip = {0, 0, op.width / (2 * TILES), 0};
  for (; strip.begin < tile_rows; strip.begin = strip.end) {
    strip.end = strip.begin + rows < tile_rows ? strip.begin + rows : tile_rows;
    strip.vectors = (strip.end - strip.begin) * strip.across * TILES / Pixel::AT_ONCE;
    Vector *outputs = inputs + 4 * op.groups * strip.vectors;
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      transform_inputs<Type, Pixel>(op, strip, 0, channels.first_inputs, maps.source, j, inputs);
      transform_inputs<Type, Pixel>(op, strip, channels.first_inputs, channels.inputs, maps.result, j, inputs);
      transform_gradients<Type, Pixel>(op, strip, 0, channels.first_outputs, maps.input, j, outputs);
      transform_gradients<Type, Pixel>(op, strip, channels.first_outputs, channels.outputs, maps.second, j, outputs);
      typename Type::Scalar *to = sums + 4 * j * products;
      for (int i = 0; i < 4; ++i)
        channels.each_block([&](int64_t in, int64_t out) {
          add_tile_products<Type, Pixel>(inputs + (i * channels.inputs + in) * strip.vectors,
                                         outputs + (i * channels.outputs + out) * strip.vectors, strip.vectors, to);
          to += SIDE * SIDE;
        });
    }
  }
  add_kernels<Type>(op, channels, sums, gradients);
}

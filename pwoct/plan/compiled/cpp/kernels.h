// Kernels on feature maps in blocks of images: convolutions with their sums and ReLUs, and pooling.
//
// A map holds one block of images, in the order [group of channels][row][column][image][channel of the group]:
// a vector is one pixel of all images of the block. Vectors are thus full for any number of channels, size,
// stride and padding, and pooling and upsampling need no shuffles. In float32 a group is one
// channel; in bfloat16 it is two, whose products one instruction adds.

#pragma once

#include "vectors.h"

// Pixels of a row, and output channels, that are computed together: few enough for their sums to stay in registers.
constexpr int PIXELS = REGISTERS == 32 ? 4 : 2, CHANNELS = 4;

// What Python fills in (operations.py). Maps are given by their offset from the start of the block's memory,
// in vectors; -1 is none.
struct Operation {
  int64_t kind;
  int64_t input, output;    // maps; of a gradient's operation, the input is the gradient
  int64_t plus, doubled;    // maps that are added; `doubled` has half the size and is repeated 2 x 2
  int64_t source, result;   // of a gradient's operation: what the layer read, and what it returned; of Winograd's
                            // convolution, `source` has the last `source_groups` of its groups of input channels;
                            // of the gradient of such filters, `result` is that map
  int64_t second;           // of Winograd's convolution: another output, of `input` alone; of the gradient of such
                            // filters, the gradient of that output
  int64_t pooled;           // of Winograd's convolution: `output`, averaged over 2 x 2 pixels
  int64_t weight, bias;     // offsets in weights and biases
  int64_t weight_of_source, weight_of_second; // of weight gradients of filters that read the second input, and of those
                            // that make the second output
  int64_t statistics;       // offset in the sums of each block
  int64_t groups, channels; // groups of input channels (for weight gradients: input channels); output channels
  int64_t height, width;    // of the input
  int64_t out_height, out_width;
  int64_t doubled_height, doubled_width;
  int64_t source_height, source_width, source_groups;
  int64_t second_channels;
  int64_t kernel_height, kernel_width, stride, pad_height, pad_width, dilation;
  int64_t spread, first_row, first_column; // output pixels that are computed: their spacing, and the first
  int64_t relu;
  int64_t function;         // of pointwise_maps.h or windows.h
  int64_t table;            // offset in the tables of moves.h
  double scale;             // of `doubled`, or of a mean
  double epsilon;           // of a normalisation
  double parameter, limit;  // of a function
};
enum {
  CONVOLUTION,
  POOLING,
  WINOGRAD_CONVOLUTION,
  // in training
  SUMMING,
  STATISTICS,
  NORMALISATION,
  NORMALISATION_SUMS,
  NORMALISATION_GRADIENT,
  WEIGHT_GRADIENT,
  BARRIER,
  PAIRING,
  PAIRED_WEIGHT_GRADIENT,
  WINOGRAD_WEIGHT_GRADIENT,
  // of any network
  MAPPING,
  WINDOWS,
  DEPTHWISE,
  MOVING,
  MAPPING_GRADIENT,
  PRODUCT_SUMS,
  WINDOWS_GRADIENT,
  SCATTERING,
  DEPTHWISE_GRADIENT,
  TAP_GRADIENT,
  BIAS_GRADIENT,
};

// The largest scratch size among the operations, rounded up to whole vectors, in bytes.
template <class Bytes>
static int64_t most_bytes(const Operation *operations, int64_t count, const Bytes &bytes_of) {
  int64_t most = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t bytes = bytes_of(operations[i]);
    most = bytes > most ? bytes : most;
  }
  return (most + BYTES - 1) / BYTES * BYTES;
}

// The maps of an operation; absent ones are null.
template <class Type> struct Maps {
  const typename Type::Vector *input, *plus, *doubled;
  typename Type::Vector *output;
  const typename Type::Vector *source, *result;
  typename Type::Vector *second, *pooled;
};

// The weights of a convolution; `bias` may be null.
template <class Type> struct Weights {
  const typename Type::Weight *weight;
  const typename Type::Scalar *bias;
};

// Accumulates the products of a filter's taps in PIXELS x COUNT sums, for the output pixels (row, column...) of
// COUNT output channels. AT_EDGE: some of the pixels read may lie outside the map; they count as zero.
template <class Type, int COUNT, int WIDTH, bool AT_EDGE>
INLINE void multiply_add(const Operation &op, const typename Type::Vector *input,
                         const typename Type::Weight *weight, int64_t row, int64_t column,
                         typename Type::Sum (&sums)[PIXELS][COUNT]) {
  const int64_t kernel_width = WIDTH ? WIDTH : op.kernel_width;
  const int64_t top = row * op.stride - op.pad_height, left = column * op.stride - op.pad_width;
  for (int64_t group = 0; group < op.groups; ++group)
    for (int64_t tap_row = 0; tap_row < op.kernel_height; ++tap_row) {
      const int64_t y = top + tap_row * op.dilation;
      if (y < 0 || y >= op.height) continue;
      const typename Type::Vector *line = input + (group * op.height + y) * op.width;
      const typename Type::Weight *taps =
          weight + (group * op.kernel_height + tap_row) * kernel_width * COUNT;
      for (int64_t tap = 0; tap < kernel_width; ++tap) {
        typename Type::Factor pixels[PIXELS];
        for (int pixel = 0; pixel < PIXELS; ++pixel) {
          const int64_t x = left + tap * op.dilation + pixel * op.stride;
          const bool is_outside = AT_EDGE && (x < 0 || x >= op.width);
          pixels[pixel] = Type::factor(is_outside ? typename Type::Vector{} : line[x]);
        }
        for (int channel = 0; channel < COUNT; ++channel)
          for (int pixel = 0; pixel < PIXELS; ++pixel)
            sums[pixel][channel] =
                Type::multiply_add(sums[pixel][channel], pixels[pixel], taps[tap * COUNT + channel]);
      }
    }
}

// Adds the other maps, rectifies, and stores the sums of COUNT channels of the first `pixels` of a row.
template <class Type, int COUNT, int WIDTH>
INLINE void store(const Operation &op, const Maps<Type> &maps, int64_t channel, int64_t row, int64_t column,
                  const typename Type::Sum (&sums)[WIDTH][COUNT], int64_t pixels = WIDTH) {
  constexpr int GROUP = Type::GROUP;
  const auto scale = (typename Type::Scalar)op.scale;
  for (int first = 0; first < COUNT; first += GROUP) {
    const int64_t group = (channel + first) / GROUP;
    const int64_t y = op.first_row + row * op.spread, x = op.first_column + column * op.spread;
    const int64_t place = (group * op.out_height + y) * op.out_width + x;
    const int64_t line = (group * op.doubled_height + row / 2) * op.doubled_width;
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      typename Type::Sum result[GROUP], more[GROUP];
      for (int i = 0; i < GROUP; ++i) result[i] = sums[pixel][first + i];
      if (maps.plus) {
        Type::unpack(maps.plus[place + pixel * op.spread], more);
        for (int i = 0; i < GROUP; ++i) result[i] += more[i];
      }
      if (maps.doubled) {
        Type::unpack(maps.doubled[line + (column + pixel) / 2], more);
        for (int i = 0; i < GROUP; ++i) result[i] += more[i] * scale;
      }
      if (op.relu)
        for (int i = 0; i < GROUP; ++i) result[i] = rectify(result[i]);
      maps.output[place + pixel * op.spread] = Type::pack(result);
    }
  }
}

// The number of computed pixels among `size`.
INLINE int64_t computed(int64_t size, int64_t first, int64_t spread) { return (size - first + spread - 1) / spread; }

// Computes COUNT output channels of one row.
template <class Type, int COUNT, int WIDTH>
static void convolve_channels(const Operation &op, const Maps<Type> &maps, const Weights<Type> &weights,
                              int64_t channel, int64_t row) {
  const int64_t columns = computed(op.out_width, op.first_column, op.spread);
  for (int64_t column = 0; column < columns; column += PIXELS) {
    typename Type::Sum sums[PIXELS][COUNT];
    for (int i = 0; i < COUNT; ++i)
      for (int pixel = 0; pixel < PIXELS; ++pixel)
        sums[pixel][i] = typename Type::Sum{} + (weights.bias ? weights.bias[channel + i] : 0);
    const int64_t first = column * op.stride - op.pad_width;
    const int64_t last = first + (PIXELS - 1) * op.stride + (op.kernel_width - 1) * op.dilation;
    if (first < 0 || last >= op.width)
      multiply_add<Type, COUNT, WIDTH, true>(op, maps.input, weights.weight, row, column, sums);
    else
      multiply_add<Type, COUNT, WIDTH, false>(op, maps.input, weights.weight, row, column, sums);
    if (column + PIXELS <= columns) store(op, maps, channel, row, column, sums);
    else store(op, maps, channel, row, column, sums, columns - column);
  }
}

// Computes the remaining channels, as many together as possible; weights are stored in the same order.
template <class Type, int COUNT, int WIDTH>
static void convolve_rest(const Operation &op, const Maps<Type> &maps, Weights<Type> weights, int64_t channel,
                          int64_t row) {
  const int64_t taps = op.groups * op.kernel_height * op.kernel_width;
  for (; channel + COUNT <= op.channels; channel += COUNT, weights.weight += COUNT * taps)
    convolve_channels<Type, COUNT, WIDTH>(op, maps, weights, channel, row);
  if constexpr (COUNT > Type::GROUP) convolve_rest<Type, COUNT / 2, WIDTH>(op, maps, weights, channel, row);
}

template <class Type>
static void convolve(const Operation &op, const Maps<Type> &maps, const Weights<Type> &weights) {
  const int64_t rows = computed(op.out_height, op.first_row, op.spread);
  for (int64_t row = 0; row < rows; ++row) // all channels of a row: their inputs stay in the cache
    if (op.kernel_width == 3) convolve_rest<Type, CHANNELS, 3>(op, maps, weights, 0, row);
    else if (op.kernel_width == 2) convolve_rest<Type, CHANNELS, 2>(op, maps, weights, 0, row);
    else if (op.kernel_width == 1) convolve_rest<Type, CHANNELS, 1>(op, maps, weights, 0, row);
    else convolve_rest<Type, CHANNELS, 0>(op, maps, weights, 0, row);
}

// Averages or adds stride x stride pixels; at an edge, the existing ones.
template <class Type, bool AVERAGES> static void pool(const Operation &op, const Maps<Type> &maps) {
  constexpr int GROUP = Type::GROUP;
  typename Type::Vector *output = maps.output;
  for (int64_t group = 0; group < op.groups; ++group)
    for (int64_t row = 0; row < op.out_height; ++row)
      for (int64_t column = 0; column < op.out_width; ++column) {
        const int64_t top = row * op.stride, left = column * op.stride;
        const int64_t bottom = top + op.stride < op.height ? top + op.stride : op.height;
        const int64_t right = left + op.stride < op.width ? left + op.stride : op.width;
        typename Type::Sum sums[GROUP] = {}, channels[GROUP];
        for (int64_t y = top; y < bottom; ++y)
          for (int64_t x = left; x < right; ++x) {
            Type::unpack(maps.input[(group * op.height + y) * op.width + x], channels);
            for (int i = 0; i < GROUP; ++i) sums[i] += channels[i];
          }
        const typename Type::Scalar pixels = (bottom - top) * (right - left);
        if (AVERAGES)
          for (int i = 0; i < GROUP; ++i) sums[i] *= 1 / pixels;
        *output++ = Type::pack(sums);
      }
}

// Weight gradients: products of maps, summed over all pixels and images of a block.

#pragma once

#include "kernels.h"

// The operands of `add_weight_gradients`: vectors of one pixel each.
template <class Type> struct Pixels : Type {
  static constexpr int AT_ONCE = 1;
  static constexpr bool IS_PADDED = false;
};

// Vectors of two pixels of a channel in bfloat16, whose products are added; see `pair_pixels`.
struct PixelPairs : BFloat16 {
  static constexpr int AT_ONCE = 2;
  static constexpr bool IS_PADDED = true; // rows begin with the padding and have no edges
};

// Adds to the gradients of INS x OUTS filters of WIDTH taps per row: input channels from `channel_in`, output
// channels from `channel_out`.
template <class Type, class Pixel, int INS, int OUTS, int WIDTH>
static void add_weight_gradients(const Operation &op, const typename Pixel::Vector *source,
                                 const typename Pixel::Vector *gradient, typename Type::Scalar *gradients,
                                 int64_t channel_in, int64_t channel_out) {
  typedef typename Type::Sum Sum;
  typedef typename Pixel::Vector Vector;
  Sum sums[WIDTH][INS][WIDTH][OUTS] = {}; // filters are square
  const int64_t in_pixels = op.source_height * op.source_width, out_pixels = op.height * op.width;
  const Vector *inputs = source + channel_in * in_pixels;
  for (int64_t row = 0; row < op.height; ++row) {
    const Vector *line = gradient + channel_out * out_pixels + row * op.width;
    for (int tap_row = 0; tap_row < WIDTH; ++tap_row) {
      const int64_t y = row * op.stride - op.pad_height + tap_row * op.dilation;
      if (y < 0 || y >= op.source_height) continue;
      Sum part[INS][WIDTH][OUTS];
      for (int in = 0; in < INS; ++in)
        for (int tap = 0; tap < WIDTH; ++tap)
          for (int out = 0; out < OUTS; ++out) part[in][tap][out] = sums[tap_row][in][tap][out];
      for (int64_t column = 0; column < op.width; ++column) {
        const int64_t left = column * op.stride * Pixel::AT_ONCE - (Pixel::IS_PADDED ? 0 : op.pad_width);
        const bool is_inside = Pixel::IS_PADDED || (left >= 0 && left + (WIDTH - 1) * op.dilation < op.source_width);
        typename Pixel::Factor factors[OUTS];
        for (int out = 0; out < OUTS; ++out) factors[out] = Pixel::factor(line[out * out_pixels + column]);
        for (int in = 0; in < INS; ++in)
          for (int tap = 0; tap < WIDTH; ++tap) {
            const int64_t x = left + tap * op.dilation;
            const bool is_zero = !is_inside && (x < 0 || x >= op.source_width);
            const auto pixel = Pixel::factor(is_zero ? Vector{} : inputs[in * in_pixels + y * op.source_width + x]);
            for (int out = 0; out < OUTS; ++out)
              part[in][tap][out] = Pixel::multiply_add(part[in][tap][out], pixel, factors[out]);
          }
      }
      for (int in = 0; in < INS; ++in)
        for (int tap = 0; tap < WIDTH; ++tap)
          for (int out = 0; out < OUTS; ++out) sums[tap_row][in][tap][out] = part[in][tap][out];
    }
  }
  for (int out = 0; out < OUTS; ++out)
    for (int in = 0; in < INS; ++in)
      for (int tap_row = 0; tap_row < WIDTH; ++tap_row)
        for (int tap = 0; tap < WIDTH; ++tap) {
          const int64_t kernel = (channel_out + out) * op.groups + channel_in + in;
          gradients[(kernel * WIDTH + tap_row) * WIDTH + tap] += add_up<Type>(sums[tap_row][in][tap][out]);
        }
}

template <class Type, class Pixel, int INS, int OUTS, int WIDTH>
static void weight_gradients(const Operation &op, const typename Pixel::Vector *source,
                             const typename Pixel::Vector *gradient, typename Type::Scalar *gradients,
                             int64_t channel_out) {
  for (; channel_out + OUTS <= op.channels; channel_out += OUTS) {
    int64_t channel_in = 0;
    for (; channel_in + INS <= op.groups; channel_in += INS)
      add_weight_gradients<Type, Pixel, INS, OUTS, WIDTH>(op, source, gradient, gradients, channel_in, channel_out);
    for (; channel_in < op.groups; ++channel_in)
      add_weight_gradients<Type, Pixel, 1, OUTS, WIDTH>(op, source, gradient, gradients, channel_in, channel_out);
  }
  if constexpr (OUTS > 1)
    weight_gradients<Type, Pixel, INS, OUTS / 2, WIDTH>(op, source, gradient, gradients, channel_out);
}

template <class Type, class Pixel>
static void weight_gradients(const Operation &op, const typename Pixel::Vector *source,
                             const typename Pixel::Vector *gradient, typename Type::Scalar *gradients) {
  if (op.kernel_width == 3) weight_gradients<Type, Pixel, 2, CHANNELS, 3>(op, source, gradient, gradients, 0);
  else weight_gradients<Type, Pixel, 4, CHANNELS, 1>(op, source, gradient, gradients, 0);
}

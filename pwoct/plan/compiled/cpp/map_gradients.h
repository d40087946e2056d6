// Gradients of pointwise_maps.h, windows.h and moves.h, and of the filters and biases of any convolution.

#pragma once

#include "moves.h"
#include "pointwise_maps.h"
#include "weight_gradients.h"
#include "windows.h"

// The gradient of a function's argument, `source`, from that of its result, `input`.
template <class Type, class Slope> INLINE void map_gradient(const Operation &op, const Maps<Type> &maps, const Slope &slope) {
  constexpr int GROUP = Type::GROUP;
  const int64_t vectors = op.groups * op.height * op.width;
  for (int64_t i = 0; i < vectors; ++i) {
    typename Type::Sum gradient[GROUP], x[GROUP];
    Type::unpack(maps.input[i], gradient);
    Type::unpack(maps.source[i], x);
    for (int channel = 0; channel < GROUP; ++channel) gradient[channel] = slope(x[channel], gradient[channel]);
    maps.output[i] = Type::pack(gradient);
  }
}

template <class Type> static void map_gradient(const Operation &op, const Maps<Type> &maps) {
  typedef typename Type::Sum Sum;
  typedef typename Type::Scalar Scalar;
  const auto a = (Scalar)op.parameter, b = (Scalar)op.limit;
  const auto with = [&](const auto &slope) { map_gradient<Type>(op, maps, slope); };
  switch (op.function) {
  case IDENTITY: return with([](Sum, Sum g) { return g; });
  case RELU: return with([](Sum x, Sum g) { return x <= 0 ? Sum{} : g; });
  case LEAKY_RELU: return with([a](Sum x, Sum g) { return x > 0 ? g : g * a; });
  case CLIP: return with([a, b](Sum x, Sum g) { return ((x <= a) | (x >= b)) ? Sum{} : g; });
  case HARD_SIGMOID: return with([](Sum x, Sum g) { return ((x <= -3) | (x >= 3)) ? Sum{} : g * ((Scalar)1 / 6); });
  case HARD_SWISH:
    return with([](Sum x, Sum g) { return x <= -3 ? Sum{} : x >= 3 ? g : g * (x * ((Scalar)1 / 3) + (Scalar)0.5); });
  case SIGMOID:
    return with([](Sum x, Sum g) {
      const Sum y = sigmoid<Type>(x);
      return g * y * (1 - y);
    });
  case SILU:
    return with([](Sum x, Sum g) {
      const Sum y = sigmoid<Type>(x);
      return g * y * (1 + x * (1 - y));
    });
  case TANH:
    return with([](Sum x, Sum g) {
      const Sum y = 1 - 2 / (1 + exponential<Type>(2 * x));
      return g * (1 - y * y);
    });
  case ELU: return with([a](Sum x, Sum g) { return x <= 0 ? g * a * exponential<Type>(x) : g; });
  }
  __builtin_trap(); // Python and C++ disagree about the functions
}

// The sum over all pixels of each channel of input times source: the gradient of a factor of one pixel.
template <class Type> static void product_sums(const Operation &op, const Maps<Type> &maps) {
  constexpr int GROUP = Type::GROUP;
  const int64_t pixels = op.height * op.width;
  for (int64_t group = 0; group < op.groups; ++group) {
    typename Type::Sum sums[GROUP] = {}, x[GROUP], y[GROUP];
    for (int64_t pixel = group * pixels; pixel < (group + 1) * pixels; ++pixel) {
      Type::unpack(maps.input[pixel], x);
      Type::unpack(maps.source[pixel], y);
      for (int i = 0; i < GROUP; ++i) sums[i] += x[i] * y[i];
    }
    maps.output[group] = Type::pack(sums);
  }
}

// Adds to one vector of a map.
template <class Type> INLINE void add_to(typename Type::Vector &place, const typename Type::Sum (&x)[Type::GROUP]) {
  typename Type::Sum sums[Type::GROUP];
  Type::unpack(place, sums);
  for (int i = 0; i < Type::GROUP; ++i) sums[i] += x[i];
  place = Type::pack(sums);
}

// The gradient of pooling, of the map `source`, from that of its result: it goes to the first maximum, or to all
// pixels of a mean. The operation's `input` is the gradient; sizes of windows are those of the forward pass.
template <class Type> static void pool_gradient(const Operation &op, const Maps<Type> &maps) {
  constexpr int GROUP = Type::GROUP;
  typedef typename Type::Scalar Scalar;
  typedef typename Type::Sum Sum;
  const bool is_maximum = op.function == MAXIMUM;
  for (int64_t i = 0; i < op.groups * op.source_height * op.source_width; ++i) maps.output[i] = typename Type::Vector{};
  for (int64_t group = 0; group < op.groups; ++group)
    for (int64_t row = 0; row < op.height; ++row) {
      const Range rows = range_of(op, row, op.source_height, op.height, op.kernel_height, op.pad_height);
      for (int64_t column = 0; column < op.width; ++column) {
        const Range columns = range_of(op, column, op.source_width, op.width, op.kernel_width, op.pad_width);
        const auto each_pixel = [&](const auto &f) {
          for (int64_t y = rows.begin; y < rows.end; y += rows.step)
            for (int64_t x = columns.begin; x < columns.end; x += columns.step)
              f((group * op.source_height + y) * op.source_width + x);
        };
        Sum gradient[GROUP], pixel[GROUP], best[GROUP];
        Type::unpack(maps.input[(group * op.height + row) * op.width + column], gradient);
        int64_t count = 0;
        for (int i = 0; i < GROUP; ++i) best[i] = Sum{} + (Scalar)-__builtin_inf();
        each_pixel([&](int64_t place) {
          ++count;
          if (!is_maximum) return;
          Type::unpack(maps.source[place], pixel);
          for (int i = 0; i < GROUP; ++i) best[i] = ((pixel[i] > best[i]) | (pixel[i] != pixel[i])) ? pixel[i] : best[i];
        });
        const auto pixels = (Scalar)(op.function == MEAN_WITH_PAD ? rows.all * columns.all : count);
        if (!is_maximum)
          for (int i = 0; i < GROUP; ++i) gradient[i] *= (Scalar)op.scale / pixels;
        each_pixel([&](int64_t place) {
          Sum part[GROUP];
          for (int i = 0; i < GROUP; ++i) part[i] = gradient[i];
          if (is_maximum) {
            Type::unpack(maps.source[place], pixel);
            for (int i = 0; i < GROUP; ++i) {
              const auto is_best = (pixel[i] == best[i]) | ((pixel[i] != pixel[i]) & (best[i] != best[i]));
              part[i] = is_best ? gradient[i] : Sum{};
              gradient[i] = is_best ? Sum{} : gradient[i]; // only the first
            }
          }
          add_to<Type>(maps.output[place], part);
        });
      }
    }
}

// The gradient of one of the maps that `move` reads: each pixel's gradient is added where the pixel came from. The
// table has places from the map's beginning; what came from elsewhere is negative.
template <class Type> static void scatter(const Operation &op, const Maps<Type> &maps, const int64_t *table) {
  constexpr int GROUP = Type::GROUP;
  for (int64_t i = 0; i < op.channels / GROUP * op.out_height * op.out_width; ++i) maps.output[i] = typename Type::Vector{};
  for (int64_t i = 0; i < op.groups * op.height * op.width; ++i, table += GROUP) {
    typename Type::Sum gradient[GROUP];
    Type::unpack(maps.input[i], gradient);
    for (int lane = 0; lane < GROUP; ++lane) {
      if (table[lane] < 0) continue;
      typename Type::Sum part[GROUP] = {};
      part[table[lane] % GROUP] = gradient[lane];
      add_to<Type>(maps.output[table[lane] / GROUP], part);
    }
  }
}

// Adds the sum of each channel's gradient to that of the bias.
template <class Type> static void bias_gradients(const Operation &op, const Maps<Type> &maps, typename Type::Scalar *gradients) {
  constexpr int GROUP = Type::GROUP;
  const int64_t pixels = op.height * op.width;
  for (int64_t channel = 0; channel < op.channels; channel += GROUP) {
    typename Type::Sum sums[GROUP] = {}, x[GROUP];
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      Type::unpack(maps.input[channel / GROUP * pixels + pixel], x);
      for (int i = 0; i < GROUP; ++i) sums[i] += x[i];
    }
    for (int i = 0; i < GROUP && channel + i < op.channels; ++i) gradients[channel + i] += add_up<Type>(sums[i]);
  }
}

// Adds to the gradients of filters of any size: op.groups input channels (of each of op.spread groups of channels),
// op.channels output channels. `input` is the gradient, `source` what the layer read.
template <class Type>
static void tap_gradients(const Operation &op, const Maps<Type> &maps, typename Type::Scalar *gradients) {
  constexpr int GROUP = Type::GROUP;
  typedef typename Type::Sum Sum;
  const int64_t pixels = op.height * op.width, sources = op.source_height * op.source_width;
  const int64_t outs = op.channels / op.spread; // of a group
  for (int64_t out = 0; out < op.channels; ++out)
    for (int64_t in = 0; in < op.groups; ++in) {
      const int64_t from = out / outs * op.groups + in;
      const typename Type::Vector *dy = maps.input + out / GROUP * pixels, *x = maps.source + from / GROUP * sources;
      for (int64_t tap_row = 0; tap_row < op.kernel_height; ++tap_row)
        for (int64_t tap = 0; tap < op.kernel_width; ++tap) {
          Sum sum = {}, gradient[GROUP], pixel[GROUP];
          for (int64_t row = 0; row < op.height; ++row) {
            const int64_t y = row * op.stride - op.pad_height + tap_row * op.dilation;
            if (y < 0 || y >= op.source_height) continue;
            for (int64_t column = 0; column < op.width; ++column) {
              const int64_t at = column * op.stride - op.pad_width + tap * op.dilation;
              if (at < 0 || at >= op.source_width) continue;
              Type::unpack(dy[row * op.width + column], gradient);
              Type::unpack(x[y * op.source_width + at], pixel);
              sum += gradient[out % GROUP] * pixel[from % GROUP];
            }
          }
          gradients[((out * op.groups + in) * op.kernel_height + tap_row) * op.kernel_width + tap] += add_up<Type>(sum);
        }
    }
}

// The gradient of what a depthwise convolution reads; `filters` as for `convolve_depthwise`.
template <class Type>
static void depthwise_gradient(const Operation &op, const Maps<Type> &maps, const typename Type::Scalar *filters) {
  constexpr int GROUP = Type::GROUP;
  typedef typename Type::Sum Sum;
  const int64_t taps = op.kernel_height * op.kernel_width, pixels = op.height * op.width;
  // The output pixel that reads pixel `at` by a tap, or -1.
  const auto reader = [&](int64_t at, int64_t tap, int64_t pad, int64_t size) {
    const int64_t place = at + pad - tap * op.dilation;
    return place < 0 || place % op.stride || place / op.stride >= size ? -1 : place / op.stride;
  };
  for (int64_t channel = 0; channel < op.groups; channel += GROUP)
    for (int64_t row = 0; row < op.out_height; ++row)
      for (int64_t column = 0; column < op.out_width; ++column) {
        Sum sums[GROUP] = {};
        for (int64_t tap_row = 0; tap_row < op.kernel_height; ++tap_row) {
          const int64_t y = reader(row, tap_row, op.pad_height, op.height);
          if (y < 0) continue;
          for (int64_t tap = 0; tap < op.kernel_width; ++tap) {
            const int64_t x = reader(column, tap, op.pad_width, op.width);
            if (x < 0) continue;
            for (int i = 0; i < GROUP && channel + i < op.groups; ++i)
              for (int64_t out = (channel + i) * op.spread; out < (channel + i + 1) * op.spread; ++out) {
                Sum gradient[GROUP];
                Type::unpack(maps.input[out / GROUP * pixels + y * op.width + x], gradient);
                sums[i] += gradient[out % GROUP] * filters[out * taps + tap_row * op.kernel_width + tap];
              }
          }
        }
        maps.output[(channel / GROUP * op.out_height + row) * op.out_width + column] = Type::pack(sums);
      }
}

// Operations on each pixel alone: scale and shift of channels, sums and products of maps, activations.

#pragma once

#include "kernels.h"

// The functions of operations.py, in the same order. `parameter` and `limit` are theirs.
enum {
  IDENTITY,
  RELU,
  LEAKY_RELU,   // parameter: the slope below 0
  CLIP,         // to [parameter, limit]
  HARD_SIGMOID, // clip(x + 3, 0, 6) / 6
  HARD_SWISH,   // x clip(x + 3, 0, 6) / 6
  SIGMOID,
  SILU, // x sigmoid(x)
  TANH,
  ELU, // parameter (exp(x) - 1) below 0
};

// What the exponential needs to know of a floating type: the bits of its fraction, its exponent's bias, the degree
// of a polynomial that is exact on [-ln(2) / 2, ln(2) / 2], and the arguments between which it is neither 0 nor
// infinite. ln(2) is the sum of two numbers, the first with few digits, so that its products are exact.
template <class Scalar> struct Floating;
template <> struct Floating<float> {
  typedef int32_t Bits __attribute__((vector_size(BYTES)));
  static constexpr int FRACTION = 23, BIAS = 127, DEGREE = 7;
  static constexpr float LEAST = -87.0f, MOST = 88.0f, LN2 = 0.693359375f, LN2_REST = -2.12194440e-4f;
};
template <> struct Floating<double> {
  typedef int64_t Bits __attribute__((vector_size(BYTES)));
  static constexpr int FRACTION = 52, BIAS = 1023, DEGREE = 13;
  static constexpr double LEAST = -708, MOST = 709, LN2 = 0.693145751953125, LN2_REST = 1.42860682030941723212e-6;
};

// exp(x): 2^n exp(r), where x = n ln(2) + r. NaN stays NaN.
template <class Type> INLINE typename Type::Sum exponential(typename Type::Sum x) {
  typedef typename Type::Scalar Scalar;
  typedef typename Type::Sum Sum;
  typedef Floating<Scalar> Known;
  const Sum zero = {}, infinite = zero + (Scalar)__builtin_inf();
  // Adding 1.5 2^FRACTION rounds to an integer, which the last bits of the sum then are.
  const Scalar rounding = (Scalar)1.5 * ((int64_t)1 << Known::FRACTION);
  const Sum clipped = x < Known::LEAST ? zero + Known::LEAST : x > Known::MOST ? zero + Known::MOST : x;
  const Sum shifted = clipped * (Scalar)1.4426950408889634 + rounding, n = shifted - rounding;
  const Sum r = clipped - n * Known::LN2 - n * Known::LN2_REST;
  Sum power = zero + 1;
  for (int degree = Known::DEGREE; degree > 0; --degree) power = 1 + power * r * ((Scalar)1 / degree);
  typedef typename Known::Bits Bits;
  const Bits exponent = (Bits)shifted - (Bits)(zero + rounding) + Known::BIAS;
  const Sum found = power * (Sum)(exponent << Known::FRACTION);
  return x > Known::MOST ? infinite : x < Known::LEAST ? zero : found;
}

template <class Type> INLINE typename Type::Sum sigmoid(typename Type::Sum x) {
  return 1 / (1 + exponential<Type>(-x));
}

template <class Sum, class Scalar> INLINE Sum clip(Sum x, Scalar low, Scalar high) { // NaN stays NaN
  return x < low ? Sum{} + low : x > high ? Sum{} + high : x;
}

// f(scale x + shift + plus) of each pixel, times `source`, which may have one pixel for each channel. `affine` has
// the scales of all channels, then their shifts, or is null.
template <class Type, class Function>
INLINE void map_pixels(const Operation &op, const Maps<Type> &maps, const typename Type::Scalar *affine,
                       const Function &f) {
  constexpr int GROUP = Type::GROUP;
  typedef typename Type::Sum Sum;
  const int64_t pixels = op.height * op.width, factors = op.source_height * op.source_width;
  for (int64_t group = 0; group < op.groups; ++group)
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      Sum x[GROUP], more[GROUP];
      Type::unpack(maps.input[group * pixels + pixel], x);
      if (affine)
        for (int i = 0; i < GROUP; ++i)
          x[i] = x[i] * affine[group * GROUP + i] + affine[(op.groups + group) * GROUP + i];
      if (maps.plus) {
        Type::unpack(maps.plus[group * pixels + pixel], more);
        for (int i = 0; i < GROUP; ++i) x[i] += more[i];
      }
      for (int i = 0; i < GROUP; ++i) x[i] = f(x[i]);
      if (maps.source) {
        Type::unpack(maps.source[group * factors + (factors == 1 ? 0 : pixel)], more);
        for (int i = 0; i < GROUP; ++i) x[i] *= more[i];
      }
      maps.output[group * pixels + pixel] = Type::pack(x);
    }
}

template <class Type>
static void map_pixels(const Operation &op, const Maps<Type> &maps, const typename Type::Scalar *affine) {
  typedef typename Type::Sum Sum;
  typedef typename Type::Scalar Scalar;
  const auto a = (Scalar)op.parameter, b = (Scalar)op.limit;
  const auto hard = [](Sum x) { return clip(x + 3, (Scalar)0, (Scalar)6) * ((Scalar)1 / 6); };
  const auto map = [&](const auto &f) { map_pixels<Type>(op, maps, affine, f); };
  switch (op.function) {
  case IDENTITY: return map([](Sum x) { return x; });
  case RELU: return map([](Sum x) { return rectify(x); });
  case LEAKY_RELU: return map([a](Sum x) { return x < 0 ? a * x : x; });
  case CLIP: return map([a, b](Sum x) { return clip(x, a, b); });
  case HARD_SIGMOID: return map(hard);
  case HARD_SWISH: return map([&](Sum x) { return x * hard(x); });
  case SIGMOID: return map([](Sum x) { return sigmoid<Type>(x); });
  case SILU: return map([](Sum x) { return x * sigmoid<Type>(x); });
  case TANH: return map([](Sum x) { return 1 - 2 / (1 + exponential<Type>(2 * x)); });
  case ELU: return map([a](Sum x) { return x < 0 ? a * (exponential<Type>(x) - 1) : x; });
  }
  __builtin_trap(); // Python and C++ disagree about the functions
}

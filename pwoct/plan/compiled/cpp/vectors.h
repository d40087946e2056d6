// Vectors of the processor for which this is compiled, and the numeric types that they hold. Everything that
// depends on their width or on the instructions is here; kernels are templates over these types.
//
// A map's vector is one pixel of all images of a block: 16, 8 or 4 images in float32 (AVX-512; AVX; SSE or NEON).

#pragma once

#include <cstdint>
#include <utility>

#if defined(__AVX512BF16__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#include <arm_neon.h>
#endif

// The bytes of a vector register, and the number of these registers.
#if defined(__AVX512F__)
constexpr int BYTES = 64, REGISTERS = 32;
#elif defined(__AVX__)
constexpr int BYTES = 32, REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int BYTES = 16, REGISTERS = 32;
#else
constexpr int BYTES = 16, REGISTERS = 16;
#endif

// Whether the processor multiplies bfloat16; else its maps in bfloat16 are multiplied in float32.
#if defined(__AVX512BF16__) || defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
constexpr bool MULTIPLIES_BFLOAT16 = true;
#else
constexpr bool MULTIPLIES_BFLOAT16 = false;
#endif

#define INLINE static inline __attribute__((always_inline))

// A numeric type: how maps and weights are stored, and the type of sums. A map's vector holds GROUP channels of
// LANES images, a sum's vector one channel. A factor is what is multiplied by weights: GROUP channels as well.
template <class Number> struct Real {
  typedef Number Scalar;
  typedef Number Sum __attribute__((vector_size(BYTES), may_alias));
  typedef Sum Vector;
  typedef Sum Factor;
  typedef Number Weight;
  static constexpr int GROUP = 1, LANES = BYTES / sizeof(Number);
  INLINE void unpack(Vector x, Sum (&channels)[GROUP]) { channels[0] = x; }
  INLINE Vector pack(const Sum (&channels)[GROUP]) { return channels[0]; }
  INLINE Factor factor(Vector x) { return x; }
  INLINE Factor factor(const Sum (&channels)[GROUP]) { return channels[0]; }
  template <class Other> INLINE Sum multiply_add(Sum sum, Factor x, Other y) { return sum + x * y; } // y: of either
};

// Pairs of bfloat16, the even channel low; sums are float32.
struct Pairs {
  typedef float Scalar;
  typedef Real<float>::Sum Sum;
  typedef int32_t Vector __attribute__((vector_size(BYTES), may_alias));
  typedef uint32_t Bits __attribute__((vector_size(BYTES)));
  static constexpr int GROUP = 2, LANES = BYTES / 4;
  static constexpr int32_t HIGH = (int32_t)0xffff0000;
  INLINE void unpack(Vector x, Sum (&channels)[GROUP]) {
    channels[0] = (Sum)((Bits)x << 16);
    channels[1] = (Sum)(x & HIGH);
  }
  // Rounds to nearest, ties to even; NaN stays NaN.
  INLINE Bits round(Sum x) {
    const Bits bits = (Bits)x, rounded = bits + 0x7fff + (bits >> 16 & 1);
    return x == x ? rounded : bits | 0x400000;
  }
  INLINE Vector pack(const Sum (&channels)[GROUP]) {
    return (Vector)(round(channels[0]) >> 16) | ((Vector)round(channels[1]) & HIGH);
  }
};

#if defined(__AVX512BF16__)
struct BFloat16 : Pairs {
  typedef Vector Factor;
  typedef int32_t Weight;
  INLINE Vector pack(const Sum (&channels)[GROUP]) {
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)channels[1], (__m512)channels[0]);
    const __m512i pairs = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, //
                                           23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (Vector)_mm512_permutexvar_epi16(pairs, both);
  }
  INLINE Factor factor(Vector x) { return x; }
  INLINE Factor factor(const Sum (&channels)[GROUP]) { return pack(channels); }
  INLINE Sum multiply_add(Sum sum, Factor x, Weight w) {
    return (Sum)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)_mm512_set1_epi32(w));
  }
  INLINE Sum multiply_add(Sum sum, Factor x, Factor y) {
    return (Sum)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)y);
  }
};
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
struct BFloat16 : Pairs {
  typedef Vector Factor;
  typedef int32_t Weight;
  INLINE Vector pack(const Sum (&channels)[GROUP]) {
    const bfloat16x8_t low = vcvtq_low_bf16_f32((float32x4_t)channels[0]);
    const bfloat16x8_t both = vcvtq_high_bf16_f32(low, (float32x4_t)channels[1]);
    const uint16x8_t halves = vreinterpretq_u16_bf16(both);
    return (Vector)vzip1q_u16(halves, vextq_u16(halves, halves, 4));
  }
  INLINE Factor factor(Vector x) { return x; }
  INLINE Factor factor(const Sum (&channels)[GROUP]) { return pack(channels); }
  INLINE Sum multiply_add(Sum sum, Factor x, Weight w) { return multiply_add(sum, x, Factor{} + w); }
  INLINE Sum multiply_add(Sum sum, Factor x, Factor y) {
    return (Sum)vbfdotq_f32((float32x4_t)sum, vreinterpretq_bf16_s32((int32x4_t)x),
                            vreinterpretq_bf16_s32((int32x4_t)y));
  }
};
#else
struct BFloat16 : Pairs {
  struct Factor {
    Sum channels[GROUP];
  };
  struct Weight {
    float channels[GROUP];
  };
  INLINE Factor factor(Vector x) {
    Factor found;
    unpack(x, found.channels);
    return found;
  }
  INLINE Factor factor(const Sum (&channels)[GROUP]) { return {{channels[0], channels[1]}}; }
  template <class Other> INLINE Sum multiply_add(Sum sum, const Factor &x, const Other &y) {
    return sum + x.channels[0] * y.channels[0] + x.channels[1] * y.channels[1];
  }
};
#endif

// ReLU; NaN stays NaN.
template <class Sum> INLINE Sum rectify(Sum x) { return x < 0 ? Sum{} : x; }

// The sum of a vector's lanes.
template <class Type> INLINE typename Type::Scalar add_up(typename Type::Sum x) {
  typename Type::Scalar sum = 0;
  for (int lane = 0; lane < Type::LANES; ++lane) sum += x[lane];
  return sum;
}

// Lanes of x; indices from LANES up are lanes of y.
template <class Number, int... INDICES>
INLINE typename Real<Number>::Sum lanes_of(typename Real<Number>::Sum x, typename Real<Number>::Sum y) {
#if defined(__clang__)
  return __builtin_shufflevector(x, y, INDICES...);
#else
  typedef decltype(x < y) Indices;
  return __builtin_shuffle(x, y, Indices{INDICES...});
#endif
}

// In each 2 SIZE lanes: the sums of two halves, of x in the first half and of y in the second.
template <class Number, int SIZE, int... LANE>
INLINE typename Real<Number>::Sum add_halves(typename Real<Number>::Sum x, typename Real<Number>::Sum y,
                                             std::integer_sequence<int, LANE...>) {
  constexpr int LANES = Real<Number>::LANES;
  return lanes_of<Number, ((LANE & SIZE) == 0 ? LANE : LANE - SIZE + LANES)...>(x, y) +
         lanes_of<Number, ((LANE & SIZE) == 0 ? LANE + SIZE : LANE + LANES)...>(x, y);
}

// Each of LANES / COUNT lanes has a part of the sum of one of COUNT vectors, which are STEP apart.
template <class Number, int COUNT, int STEP>
INLINE typename Real<Number>::Sum add_lanes(const typename Real<Number>::Sum *x) {
  constexpr int LANES = Real<Number>::LANES;
  if constexpr (COUNT == 1) return *x;
  else
    return add_halves<Number, LANES / COUNT>(add_lanes<Number, COUNT / 2, 2 * STEP>(x),
                                             add_lanes<Number, COUNT / 2, 2 * STEP>(x + STEP),
                                             std::make_integer_sequence<int, LANES>{});
}

// Adds the sum of the lanes of each of COUNT vectors to `sums`; COUNT is a multiple of the lanes.
template <int COUNT, class Number> INLINE void add_up(const typename Real<Number>::Sum *x, Number *sums) {
  constexpr int LANES = Real<Number>::LANES;
  static_assert(COUNT % LANES == 0, "whole vectors of sums");
  for (int first = 0; first < COUNT; first += LANES)
    *reinterpret_cast<typename Real<Number>::Sum *>(sums + first) += add_lanes<Number, LANES, 1>(x + first);
}

// Copies of pixels from any places: concatenated, selected, shuffled, cropped, padded or repeated maps.

#pragma once

#include "kernels.h"

// For each channel of each vector of the output, `table` has the place that it is copied from: GROUP times the
// offset of a vector from the start of the block's memory, plus the channel within it; or -1 - i for constant i.
template <class Type>
static void move(const Operation &op, const typename Type::Vector *memory, typename Type::Vector *output,
                 const int64_t *table, const double *constants) {
  constexpr int GROUP = Type::GROUP;
  typedef typename Type::Sum Sum;
  typedef typename Type::Scalar Scalar;
  const int64_t vectors = op.channels / GROUP * op.out_height * op.out_width;
  for (int64_t i = 0; i < vectors; ++i, table += GROUP) {
    const int64_t first = table[0];
    bool is_whole = first >= 0 && first % GROUP == 0;
    for (int lane = 1; lane < GROUP; ++lane) is_whole &= table[lane] == first + lane;
    if (is_whole) {
      output[i] = memory[first / GROUP];
      continue;
    }
    Sum found[GROUP], channels[GROUP];
    for (int lane = 0; lane < GROUP; ++lane) {
      const int64_t place = table[lane];
      if (place < 0) {
        found[lane] = Sum{} + (Scalar)constants[-1 - place];
        continue;
      }
      Type::unpack(memory[place / GROUP], channels);
      found[lane] = channels[place % GROUP];
    }
    output[i] = Type::pack(found);
  }
}

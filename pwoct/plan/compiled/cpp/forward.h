// The operations of a forward pass, for inference and for training. They are compiled only once, in forward.cpp,
// since their templates expand to much code.

#pragma once

#include "kernels.h"

// Numbers that operations refer to by their offsets: in the maps' type, in the sums' type (biases, scales, filters of
// depthwise convolutions), and the tables and constants of moves.
struct Numbers {
  const void *weights, *scalars;
  const int64_t *tables;
  const double *constants;
};

// Computes an operation of a forward pass on the maps of a block, which lie in `memory`. Returns whether it is one.
template <class Type>
__attribute__((visibility("hidden"))) bool compute_forward(const Operation &op, const Numbers &numbers,
                                                           const Maps<Type> &maps, typename Type::Vector *memory,
                                                           void *scratch);

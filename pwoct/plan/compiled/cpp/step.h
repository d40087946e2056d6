// The data of a training step.

#pragma once

#include "kernels.h"

// Data that all threads share. The sums of a block hold, for each channel of a normalisation: the mean, the sum
// of squared deviations from it, and the sums of the gradient and of the gradient times deviation.
template <class Type> struct Step {
  const void *weights;                       // of convolutions, in the order in which `convolve` reads them
  const typename Type::Scalar *parameters;   // all parameters, concatenated
  typename Type::Scalar *gradients;          // (threads, parameters)
  typename Type::Scalar *sums;               // (blocks, sums)
  typename Type::Scalar *moments;            // for each channel of a normalisation: mean and variance
  typename Type::Vector *memory;             // (blocks, vectors)
  char *scratch;                             // (threads, scratch_bytes)
  const int64_t *tables;                     // of moves
  const double *constants;                   // of moves
  int64_t parameter_count, sum_count, vectors, blocks, scratch_bytes;

  typename Type::Scalar *gradients_of(int64_t place, int64_t thread) const {
    return gradients + thread * parameter_count + place;
  }
};

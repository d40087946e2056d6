// Batch normalisation: statistics of a batch, the normalised maps, and the gradients of both.

#pragma once

#include "step.h"

// Sums for `normalise`: mean and squared deviations of each channel of a block.
template <class Type>
static void batch_statistics(const Operation &op, const Maps<Type> &maps, typename Type::Scalar *sums) {
  constexpr int GROUP = Type::GROUP;
  typedef typename Type::Scalar Scalar;
  const int64_t pixels = op.height * op.width;
  for (int64_t channel = 0; channel < op.channels; channel += GROUP) {
    const typename Type::Vector *x = maps.input + channel / GROUP * pixels;
    typename Type::Sum sum[GROUP] = {}, squares[GROUP] = {}, values[GROUP];
    Scalar mean[GROUP];
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      Type::unpack(x[pixel], values);
      for (int i = 0; i < GROUP; ++i) sum[i] += values[i];
    }
    for (int i = 0; i < GROUP; ++i) mean[i] = add_up<Type>(sum[i]) / (pixels * Type::LANES);
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      Type::unpack(x[pixel], values);
      for (int i = 0; i < GROUP; ++i) squares[i] += (values[i] - mean[i]) * (values[i] - mean[i]);
    }
    for (int i = 0; i < GROUP && channel + i < op.channels; ++i) {
      sums[4 * (channel + i)] = mean[i];
      sums[4 * (channel + i) + 1] = add_up<Type>(squares[i]);
    }
  }
}

struct Moments {
  double mean, variance;
};

// Mean and variance of a channel over all blocks (Chan, Golub and LeVeque, 1983; here blocks are of one size).
template <class Type>
static Moments moments_of(const Step<Type> &step, const typename Type::Scalar *sums, int64_t numbers) {
  double mean = 0, squares = 0;
  for (int64_t block = 0; block < step.blocks; ++block) mean += sums[block * step.sum_count];
  mean /= step.blocks;
  for (int64_t block = 0; block < step.blocks; ++block) {
    const typename Type::Scalar *own = sums + block * step.sum_count;
    squares += own[1] + numbers * (own[0] - mean) * (own[0] - mean);
  }
  return {mean, squares / ((double)numbers * step.blocks)};
}

// relu(scale (x - mean) / deviation + shift + plus)
template <class Type>
static void normalise(const Operation &op, const Maps<Type> &maps, const Step<Type> &step, bool is_first) {
  constexpr int GROUP = Type::GROUP;
  const int64_t pixels = op.height * op.width;
  for (int64_t first = 0; first < op.channels; first += GROUP) {
    typename Type::Scalar mean[GROUP] = {}, scale[GROUP] = {}, shift[GROUP] = {}; // zeros if there is no channel
    for (int i = 0; i < GROUP && first + i < op.channels; ++i) {
      const int64_t channel = first + i;
      const Moments found = moments_of(step, step.sums + op.statistics + 4 * channel, pixels * Type::LANES);
      mean[i] = found.mean;
      scale[i] = step.parameters[op.weight + channel] / __builtin_sqrt(found.variance + op.epsilon);
      shift[i] = step.parameters[op.bias + channel];
      if (is_first) {
        typename Type::Scalar *moments = step.moments + op.statistics / 2 + 2 * channel;
        moments[0] = found.mean;
        moments[1] = found.variance;
      }
    }
    const int64_t begin = first / GROUP * pixels;
    for (int64_t at = begin; at < begin + pixels; ++at) {
      typename Type::Sum x[GROUP], more[GROUP];
      Type::unpack(maps.input[at], x);
      for (int i = 0; i < GROUP; ++i) x[i] = (x[i] - mean[i]) * scale[i] + shift[i];
      if (maps.plus) {
        Type::unpack(maps.plus[at], more);
        for (int i = 0; i < GROUP; ++i) x[i] += more[i];
      }
      if (op.relu)
        for (int i = 0; i < GROUP; ++i) x[i] = rectify(x[i]);
      maps.output[at] = Type::pack(x);
    }
  }
}

// The gradient of a normalisation's output, masked by its ReLU, with its sum and the sum of its product with the
// deviations of the normalised input.
template <class Type>
static void normalisation_sums(const Operation &op, const Maps<Type> &maps, const Step<Type> &step, int64_t block) {
  constexpr int GROUP = Type::GROUP;
  typedef typename Type::Sum Sum;
  const int64_t pixels = op.height * op.width;
  typename Type::Scalar *sums = step.sums + block * step.sum_count + op.statistics;
  for (int64_t first = 0; first < op.channels; first += GROUP) {
    typename Type::Scalar mean[GROUP] = {};
    for (int i = 0; i < GROUP && first + i < op.channels; ++i)
      mean[i] = step.moments[op.statistics / 2 + 2 * (first + i)];
    Sum sum[GROUP] = {}, product[GROUP] = {};
    const int64_t begin = first / GROUP * pixels;
    for (int64_t at = begin; at < begin + pixels; ++at) {
      Sum gradient[GROUP], result[GROUP], source[GROUP];
      Type::unpack(maps.input[at], gradient);
      Type::unpack(maps.source[at], source);
      if (op.relu) {
        Type::unpack(maps.result[at], result);
        for (int i = 0; i < GROUP; ++i) gradient[i] = result[i] <= 0 ? Sum{} : gradient[i];
      }
      maps.output[at] = Type::pack(gradient);
      for (int i = 0; i < GROUP; ++i) {
        sum[i] += gradient[i];
        product[i] += gradient[i] * (source[i] - mean[i]);
      }
    }
    for (int i = 0; i < GROUP && first + i < op.channels; ++i) {
      sums[4 * (first + i) + 2] = add_up<Type>(sum[i]);
      sums[4 * (first + i) + 3] = add_up<Type>(product[i]);
    }
  }
}

// The gradient of a normalisation's input, from that of its output.
template <class Type>
static void normalisation_gradient(const Operation &op, const Maps<Type> &maps, const Step<Type> &step, bool is_first) {
  constexpr int GROUP = Type::GROUP;
  const int64_t pixels = op.height * op.width;
  const double count = (double)pixels * Type::LANES * step.blocks;
  for (int64_t first = 0; first < op.channels; first += GROUP) {
    typename Type::Scalar mean[GROUP] = {}, scale[GROUP] = {}, shift[GROUP] = {}, slope[GROUP] = {};
    for (int i = 0; i < GROUP && first + i < op.channels; ++i) {
      const int64_t channel = first + i;
      const typename Type::Scalar *sums = step.sums + op.statistics + 4 * channel;
      const typename Type::Scalar *moments = step.moments + op.statistics / 2 + 2 * channel;
      double sum = 0, product = 0;
      for (int64_t block = 0; block < step.blocks; ++block) {
        sum += sums[block * step.sum_count + 2];
        product += sums[block * step.sum_count + 3];
      }
      const double inverse = 1 / __builtin_sqrt(moments[1] + op.epsilon);
      if (is_first) {
        step.gradients[op.weight + channel] = product * inverse;
        step.gradients[op.bias + channel] = sum;
      }
      mean[i] = moments[0];
      scale[i] = step.parameters[op.weight + channel] * inverse;
      shift[i] = sum / count;
      slope[i] = product / count * inverse * inverse;
    }
    const int64_t begin = first / GROUP * pixels;
    for (int64_t at = begin; at < begin + pixels; ++at) {
      typename Type::Sum gradient[GROUP], source[GROUP];
      Type::unpack(maps.input[at], gradient);
      Type::unpack(maps.source[at], source);
      for (int i = 0; i < GROUP; ++i)
        gradient[i] = (gradient[i] - shift[i] - (source[i] - mean[i]) * slope[i]) * scale[i];
      maps.output[at] = Type::pack(gradient);
    }
  }
}

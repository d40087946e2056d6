// Training steps: each operation is computed for all blocks before the next one that needs sums over all of
// them. Threads have their own blocks, and wait for each other at barriers alone.

#include "kernels.h"
#include "weight_gradients.h"

#include <atomic>
#include <thread>

// What all threads share. Sums of a block hold, for each channel of a normalisation: mean and squared
// deviations from it, then the sums of the gradient and of the gradient times deviation.
template <class Type> struct Step {
  const void *weights;                       // of convolutions, as `convolve` reads them
  const typename Type::Scalar *parameters;   // all of them, one after the other
  typename Type::Scalar *gradients;          // (threads, parameters)
  typename Type::Scalar *sums;               // (blocks, sums)
  typename Type::Scalar *moments;            // for each channel of a normalisation: mean and variance
  typename Type::Vector *memory;             // (blocks, vectors)
  int64_t parameter_count, sum_count, vectors, blocks;

  typename Type::Scalar *gradients_of(const Operation &op, int64_t thread) const {
    return gradients + thread * parameter_count + op.weight;
  }
};

// Writes each pixel of the input at a distance of `stride`, and zeros between: a strided convolution's gradient
// is a convolution of that.
template <class Type> static void insert_zeros(const Operation &op, const Maps<Type> &maps) {
  typename Type::Vector *output = maps.output;
  for (int64_t channel = 0; channel < op.channels; ++channel)
    for (int64_t row = 0; row < op.out_height; ++row)
      for (int64_t column = 0; column < op.out_width; ++column) {
        const int64_t y = row / op.stride, x = column / op.stride;
        const bool is_pixel = row % op.stride == 0 && column % op.stride == 0 && y < op.height && x < op.width;
        *output++ = is_pixel ? maps.input[(channel * op.height + y) * op.width + x] : typename Type::Vector{};
      }
}

// Sums for `normalise`: mean and squared deviations of each channel of a block.
template <class Type>
static void batch_statistics(const Operation &op, const Maps<Type> &maps, typename Type::Scalar *sums) {
  const int64_t pixels = op.height * op.width;
  for (int64_t channel = 0; channel < op.channels; ++channel, sums += 4) {
    const typename Type::Vector *x = maps.input + channel * pixels;
    typename Type::Sum sum = {}, squares = {};
    for (int64_t i = 0; i < pixels; ++i) sum += x[i];
    const typename Type::Scalar mean = add_up<Type>(sum) / (pixels * Type::LANES);
    for (int64_t i = 0; i < pixels; ++i) squares += (x[i] - mean) * (x[i] - mean);
    sums[0] = mean;
    sums[1] = add_up<Type>(squares);
  }
}

struct Moments {
  double mean, variance, count;
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
  const double count = (double)numbers * step.blocks;
  return {mean, squares / count, count};
}

// relu(scale (x - mean) / deviation + shift + plus)
template <class Type>
static void normalise(const Operation &op, const Maps<Type> &maps, const Step<Type> &step, bool is_first) {
  const int64_t pixels = op.height * op.width;
  for (int64_t channel = 0; channel < op.channels; ++channel) {
    const Moments found = moments_of(step, step.sums + op.statistics + 4 * channel, pixels * Type::LANES);
    const typename Type::Scalar scale =
        step.parameters[op.weight + channel] / __builtin_sqrt(found.variance + op.epsilon);
    const typename Type::Scalar mean = found.mean, shift = step.parameters[op.bias + channel];
    if (is_first) {
      typename Type::Scalar *moments = step.moments + op.statistics / 2 + 2 * channel;
      moments[0] = found.mean;
      moments[1] = found.variance;
    }
    for (int64_t i = channel * pixels; i < (channel + 1) * pixels; ++i) {
      typename Type::Sum y = (maps.input[i] - mean) * scale + shift;
      if (maps.plus) y += maps.plus[i];
      maps.output[i] = op.relu ? rectify(y) : y;
    }
  }
}

// The gradient of a normalisation's output, without what a ReLU kept back, with its sum and the sum of its
// product with the deviations of what was normalised.
template <class Type>
static void normalisation_sums(const Operation &op, const Maps<Type> &maps, const Step<Type> &step, int64_t block) {
  const int64_t pixels = op.height * op.width;
  typename Type::Scalar *sums = step.sums + block * step.sum_count + op.statistics;
  for (int64_t channel = 0; channel < op.channels; ++channel, sums += 4) {
    const typename Type::Scalar mean = step.moments[op.statistics / 2 + 2 * channel];
    typename Type::Sum sum = {}, product = {};
    for (int64_t i = channel * pixels; i < (channel + 1) * pixels; ++i) {
      typename Type::Sum gradient = maps.input[i];
      if (op.relu) gradient = maps.result[i] <= 0 ? typename Type::Sum{} : gradient;
      maps.output[i] = gradient;
      sum += gradient;
      product += gradient * (maps.source[i] - mean);
    }
    sums[2] = add_up<Type>(sum);
    sums[3] = add_up<Type>(product);
  }
}

// The gradient of what was normalised, from that of the output.
template <class Type>
static void normalisation_gradient(const Operation &op, const Maps<Type> &maps, const Step<Type> &step, bool is_first) {
  const int64_t pixels = op.height * op.width;
  for (int64_t channel = 0; channel < op.channels; ++channel) {
    const typename Type::Scalar *sums = step.sums + op.statistics + 4 * channel;
    const typename Type::Scalar *moments = step.moments + op.statistics / 2 + 2 * channel;
    double sum = 0, product = 0;
    for (int64_t block = 0; block < step.blocks; ++block) {
      sum += sums[block * step.sum_count + 2];
      product += sums[block * step.sum_count + 3];
    }
    const double count = (double)pixels * Type::LANES * step.blocks;
    const double inverse = 1 / __builtin_sqrt(moments[1] + op.epsilon);
    if (is_first) {
      step.gradients[op.weight + channel] = product * inverse;
      step.gradients[op.bias + channel] = sum;
    }
    const typename Type::Scalar scale = step.parameters[op.weight + channel] * inverse;
    const typename Type::Scalar mean = moments[0], shift = sum / count, slope = product / count * inverse * inverse;
    for (int64_t i = channel * pixels; i < (channel + 1) * pixels; ++i)
      maps.output[i] = (maps.input[i] - shift - (maps.source[i] - mean) * slope) * scale;
  }
}

#if defined(__AVX512BF16__)
static void round_map(const Operation &op, const Maps<Real<float>> &maps) {
  const int64_t pixels = op.height * op.width;
  auto *output = reinterpret_cast<BFloat16::Vector *>(maps.output);
  for (int64_t channel = 0; channel < op.channels; channel += 2)
    for (int64_t i = channel * pixels; i < (channel + 1) * pixels; ++i) {
      const bool is_pair = channel + 1 < op.channels;
      const BFloat16::Sum pair[2] = {maps.input[i], is_pair ? maps.input[i + pixels] : BFloat16::Sum{}};
      *output++ = BFloat16::pack(pair);
    }
}

// Rounds pixels and puts two into a vector, `stride` apart; vectors are `dilation` apart, and the first begins
// `pad_width` before the row. What lies outside is zero.
static void pair_pixels(const Operation &op, const Maps<Real<float>> &maps) {
  auto *output = reinterpret_cast<BFloat16::Vector *>(maps.output);
  for (int64_t row = 0; row < op.channels * op.height; ++row) {
    const BFloat16::Sum *line = maps.input + row * op.width;
    for (int64_t column = 0; column < op.out_width; ++column) {
      const int64_t first = column * op.dilation - op.pad_width, second = first + op.stride;
      const BFloat16::Sum pair[2] = {first >= 0 && first < op.width ? line[first] : BFloat16::Sum{},
                                     second >= 0 && second < op.width ? line[second] : BFloat16::Sum{}};
      *output++ = BFloat16::pack(pair);
    }
  }
}

static void convolve_rounded(const Operation &op, const Maps<Real<float>> &maps, const void *weights) {
  const Maps<Mixed> mixed = {reinterpret_cast<const Mixed::Input *>(maps.input), maps.plus, maps.doubled, maps.output,
                             nullptr, nullptr};
  convolve<Mixed>(op, mixed, {static_cast<const Mixed::Weight *>(weights) + op.weight, nullptr});
}
#endif

template <class Type>
static void compute(const Operation &op, const Step<Type> &step, int64_t block, int64_t thread) {
  typename Type::Vector *memory = step.memory + block * step.vectors;
  const auto at = [memory](int64_t offset) { return offset < 0 ? nullptr : memory + offset; };
  const Maps<Type> maps = {at(op.input), at(op.plus), at(op.doubled), at(op.output), at(op.source), at(op.result)};
  const bool is_first = block == 0;
  switch (op.kind) {
  case CONVOLUTION:
    return convolve<Type>(op, maps, {static_cast<const typename Type::Weight *>(step.weights) + op.weight, nullptr});
  case POOLING: return pool<Type, true>(op, maps);
  case SUMMING: return pool<Type, false>(op, maps);
  case ZERO_INSERTION: return insert_zeros<Type>(op, maps);
  case STATISTICS: return batch_statistics<Type>(op, maps, step.sums + block * step.sum_count + op.statistics);
  case NORMALISATION: return normalise<Type>(op, maps, step, is_first);
  case NORMALISATION_SUMS: return normalisation_sums<Type>(op, maps, step, block);
  case NORMALISATION_GRADIENT: return normalisation_gradient<Type>(op, maps, step, is_first);
  case WEIGHT_GRADIENT: return weight_gradients<Type, Pixels<Type>>(op, maps.source, maps.input, step.gradients_of(op, thread));
  }
#if defined(__AVX512BF16__)
  if constexpr (sizeof(typename Type::Scalar) == sizeof(float)) {
    const auto *source = reinterpret_cast<const BFloat16::Vector *>(maps.source);
    const auto *gradient = reinterpret_cast<const BFloat16::Vector *>(maps.input);
    switch (op.kind) {
    case ROUNDING: return round_map(op, maps);
    case MIXED_CONVOLUTION: return convolve_rounded(op, maps, step.weights);
    case PAIRING: return pair_pixels(op, maps);
    case MIXED_WEIGHT_GRADIENT:
      return weight_gradients<Type, PixelPairs>(op, source, gradient, step.gradients_of(op, thread));
    }
  }
#endif
  __builtin_trap(); // Python and C++ disagree about the kinds
}

// Waits until all threads have come here `times` times.
static void wait(std::atomic<int64_t> &arrived, int64_t threads, int64_t times) {
  arrived.fetch_add(1, std::memory_order_acq_rel);
  for (int64_t turns = 0; arrived.load(std::memory_order_acquire) < threads * times; ++turns)
    if (turns > 1000) std::this_thread::yield(); // a thread may have lost its processor
}

// Computes the part of `thread`: the blocks from `first` to before `last`. arrived: zero, shared.
template <class Type>
static void run(const Operation *operations, int64_t count, const Step<Type> &step, std::atomic<int64_t> *arrived,
                int64_t threads, int64_t thread, int64_t first, int64_t last) {
  int64_t times = 0;
  for (int64_t begin = 0; begin < count;) {
    int64_t end = begin;
    while (end < count && operations[end].kind != BARRIER) ++end;
    for (int64_t block = first; block < last; ++block) // a block's maps stay in the cache from one to the next
      for (int64_t i = begin; i < end; ++i) compute<Type>(operations[i], step, block, thread);
    if (end < count) wait(*arrived, threads, ++times);
    begin = end + 1;
  }
}

extern "C" {
int64_t pwoct_step_bytes() { return sizeof(Step<Real<float>>); }
void pwoct_train_float32(const Operation *operations, int64_t count, const Step<Real<float>> *step,
                         void *arrived, int64_t threads, int64_t thread, int64_t first, int64_t last) {
  run<Real<float>>(operations, count, *step, static_cast<std::atomic<int64_t> *>(arrived), threads, thread,
                   first, last);
}
void pwoct_train_float64(const Operation *operations, int64_t count, const Step<Real<double>> *step,
                         void *arrived, int64_t threads, int64_t thread, int64_t first, int64_t last) {
  run<Real<double>>(operations, count, *step, static_cast<std::atomic<int64_t> *>(arrived), threads, thread,
                    first, last);
}
}

// Training steps: all operations are completed for all blocks before one that needs sums over all of them. Each
// thread has its own blocks; threads wait for each other only at barriers.

#include "forward.h"
#include "map_gradients.h"
#include "threads.h"
#include "weight_gradients.h"
#include "winograd.h"
#include "winograd_gradients.h"

#include <atomic>
#include <thread>
#include <type_traits>

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

// Puts two pixels of a channel into a vector, `stride` apart; vectors are `dilation` apart, and the first begins
// `pad_width` before the row. What lies outside is zero. The output has a vector for each channel.
static void pair_pixels(const Operation &op, const Maps<BFloat16> &maps) {
  typedef BFloat16::Vector Vector;
  constexpr int32_t HIGH = BFloat16::HIGH;
  const auto read = [&](const Vector *line, int64_t x) { return x >= 0 && x < op.width ? line[x] : Vector{}; };
  const int64_t step = op.height * op.out_width; // from one channel of the group to the next
  for (int64_t group = 0; group < op.groups; ++group)
    for (int64_t row = 0; row < op.height; ++row) {
      const Vector *line = maps.input + (group * op.height + row) * op.width;
      Vector *output = maps.output + (2 * group * op.height + row) * op.out_width;
      for (int64_t column = 0; column < op.out_width; ++column) {
        const int64_t left = column * op.dilation - op.pad_width;
        const Vector first = read(line, left), second = read(line, left + op.stride);
        output[column] = (first & ~HIGH) | second << 16;
        output[step + column] = (Vector)((BFloat16::Bits)first >> 16) | (second & HIGH);
      }
    }
}

// Bytes of scratch that an operation needs.
template <class Type> static int64_t scratch_bytes(const Operation &op) {
  switch (op.kind) {
  case WINOGRAD_CONVOLUTION: return tiles_bytes<Type>(op);
  case WINOGRAD_WEIGHT_GRADIENT: return tile_gradients_bytes<Type>(op);
  }
  return 0;
}

// Computes gradients of filters. Returns whether the operation is of that kind.
template <class Type>
static bool compute_gradients(const Operation &op, const Maps<Type> &maps, typename Type::Scalar *gradients,
                              void *scratch) {
  switch (op.kind) {
  case WEIGHT_GRADIENT: weight_gradients<Type, Pixels<Type>>(op, maps.source, maps.input, gradients); return true;
  case WINOGRAD_WEIGHT_GRADIENT: tile_gradients<Type, Pixels<Type>>(op, maps, gradients, scratch); return true;
  }
  return false;
}

static bool compute_gradients(const Operation &op, const Maps<BFloat16> &maps, float *gradients, void *scratch) {
  typedef std::conditional_t<MULTIPLIES_BFLOAT16, PixelPairs, Pixels<Real<float>>> Tiles;
  switch (op.kind) {
  case PAIRING: pair_pixels(op, maps); return true;
  case PAIRED_WEIGHT_GRADIENT:
    weight_gradients<BFloat16, PixelPairs>(op, maps.source, maps.input, gradients);
    return true;
  case WINOGRAD_WEIGHT_GRADIENT: tile_gradients<BFloat16, Tiles>(op, maps, gradients, scratch); return true;
  }
  return false;
}

// Computes gradients of what networks of other kinds need. Returns whether the operation is of that kind.
template <class Type>
static bool compute_any(const Operation &op, const Maps<Type> &maps, const Step<Type> &step, int64_t thread) {
  switch (op.kind) {
  case MAPPING_GRADIENT: map_gradient<Type>(op, maps); return true;
  case PRODUCT_SUMS: product_sums<Type>(op, maps); return true;
  case WINDOWS_GRADIENT: pool_gradient<Type>(op, maps); return true;
  case SCATTERING: scatter<Type>(op, maps, step.tables + op.table); return true;
  case DEPTHWISE_GRADIENT: depthwise_gradient<Type>(op, maps, step.parameters + op.weight); return true;
  case TAP_GRADIENT: tap_gradients<Type>(op, maps, step.gradients_of(op.weight, thread)); return true;
  case BIAS_GRADIENT: bias_gradients<Type>(op, maps, step.gradients_of(op.bias, thread)); return true;
  }
  return false;
}

template <class Type>
static void compute(const Operation &op, const Step<Type> &step, int64_t block, int64_t thread) {
  typename Type::Vector *memory = step.memory + block * step.vectors;
  const auto at = [memory](int64_t offset) { return offset < 0 ? nullptr : memory + offset; };
  const Maps<Type> maps = {at(op.input), at(op.plus), at(op.doubled), at(op.output), at(op.source), at(op.result),
                            at(op.second), at(op.pooled)};
  const Numbers numbers = {step.weights, step.parameters, step.tables, step.constants};
  void *scratch = step.scratch + thread * step.scratch_bytes;
  const bool is_first = block == 0;
  switch (op.kind) {
  case SUMMING: return pool<Type, false>(op, maps);
  case STATISTICS: return batch_statistics<Type>(op, maps, step.sums + block * step.sum_count + op.statistics);
  case NORMALISATION: return normalise<Type>(op, maps, step, is_first);
  case NORMALISATION_SUMS: return normalisation_sums<Type>(op, maps, step, block);
  case NORMALISATION_GRADIENT: return normalisation_gradient<Type>(op, maps, step, is_first);
  }
  if (!compute_forward<Type>(op, numbers, maps, memory, scratch) && !compute_any(op, maps, step, thread) &&
      !compute_gradients(op, maps, step.gradients_of(op.weight, thread), scratch))
    __builtin_trap(); // Python and C++ disagree about the kinds
}

// Waits until all threads have arrived here `times` times.
static void wait(std::atomic<int64_t> &arrived, int64_t threads, int64_t times) {
  arrived.fetch_add(1, std::memory_order_acq_rel);
  for (int64_t turns = 0; arrived.load(std::memory_order_acquire) < threads * times; ++turns)
    if (turns > 1000) std::this_thread::yield(); // a thread may have been descheduled
}

// Computes the part of `thread`: the blocks in [first, last).
template <class Type>
static void compute_blocks(const Operation *operations, int64_t count, const Step<Type> &step,
                           std::atomic<int64_t> &arrived, int64_t threads, int64_t thread, int64_t first,
                           int64_t last) {
  int64_t times = 0;
  for (int64_t begin = 0; begin < count;) {
    int64_t end = begin;
    while (end < count && operations[end].kind != BARRIER) ++end;
    for (int64_t block = first; block < last; ++block) // a block's maps stay in the cache between operations
      for (int64_t i = begin; i < end; ++i) compute<Type>(operations[i], step, block, thread);
    if (end < count) wait(arrived, threads, ++times);
    begin = end + 1;
  }
}

template <class Type>
static void run(const Operation *operations, int64_t count, const Step<Type> *step, int64_t threads) {
  std::atomic<int64_t> arrived{0};
  in_parallel(threads, [&](int64_t thread, int64_t all) {
    compute_blocks(operations, count, *step, arrived, all, thread, step->blocks * thread / all,
                   step->blocks * (thread + 1) / all);
  });
}

#define KERNELS(name, Type)                                                                                    \
  void pwoct_train_##name(const Operation *operations, int64_t count, const Step<Type> *step, int64_t threads) { \
    run<Type>(operations, count, step, threads);                                                               \
  }                                                                                                            \
  int64_t pwoct_scratch_bytes_##name(const Operation *operations, int64_t count) {                             \
    return most_bytes(operations, count, scratch_bytes<Type>);                                                       \
  }

extern "C" {
int64_t pwoct_step_bytes() { return sizeof(Step<Real<float>>); }
int64_t pwoct_tile_channels(int64_t left) { return tile_channels(left); }
int64_t pwoct_side() { return SIDE; }
KERNELS(float32, Real<float>)
KERNELS(float64, Real<double>)
KERNELS(bfloat16, BFloat16)
}

// Training steps: all operations are completed for all blocks before one that needs sums over all of them. Each
// thread has its own blocks; threads wait for each other only at barriers.

#include "forward.h"
#include "map_gradients.h"
#include "normalisation.h"
#include "threads.h"
#include "weight_gradients.h"
#include "winograd.h"
#include "winograd_gradients.h"

#include <atomic>
#include <thread>
#include <type_traits>

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

// Computes weight gradients. Returns whether the operation is of that kind.
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

// The plan "native": a network is an array of operations. Each thread computes all of them for one block of
// images after another, so that feature maps stay in its cache and threads never wait for each other.

#include "forward.h"
#include "threads.h"
#include "winograd.h"

#include <cstring>

template <class Type>
static void compute(const Operation &op, const Numbers &numbers, typename Type::Vector *memory, void *scratch) {
  const auto at = [memory](int64_t offset) { return offset < 0 ? nullptr : memory + offset; };
  const Maps<Type> maps = {at(op.input), at(op.plus), at(op.doubled), at(op.output), at(op.source), nullptr, at(op.second),
                            at(op.pooled)};
  if (!compute_forward<Type>(op, numbers, maps, memory, scratch)) __builtin_trap(); // Python and C++ disagree
}

// Computes the blocks in [first, last). images: (blocks, vectors_in); results: (blocks, vectors_out); memory: the
// block's maps, with the images first and the results at the offset `result`, and scratch.
template <class Type>
static void compute_blocks(const Operation *operations, int64_t count, const Numbers &numbers, const void *images,
                           int64_t vectors_in, void *results, int64_t vectors_out, int64_t result, void *memory,
                           void *scratch, int64_t first, int64_t last) {
  typedef typename Type::Vector Vector;
  Vector *maps = static_cast<Vector *>(memory);
  for (int64_t block = first; block < last; ++block) {
    std::memcpy(maps, static_cast<const Vector *>(images) + block * vectors_in, vectors_in * BYTES);
    for (int64_t i = 0; i < count; ++i) compute<Type>(operations[i], numbers, maps, scratch);
    std::memcpy(static_cast<Vector *>(results) + block * vectors_out, maps + result, vectors_out * BYTES);
  }
}

// memory: (threads, vectors), the last `scratch` of them for the operations' own use.
template <class Type>
static void run(const Operation *operations, int64_t count, const Numbers *numbers, const void *images,
                int64_t vectors_in, void *results, int64_t vectors_out, int64_t result, void *memory, int64_t vectors,
                int64_t scratch, int64_t blocks, int64_t threads) {
  in_parallel(threads, [&](int64_t thread, int64_t all) {
    auto *maps = static_cast<typename Type::Vector *>(memory) + thread * vectors;
    compute_blocks<Type>(operations, count, *numbers, images, vectors_in, results, vectors_out, result, maps,
                         maps + vectors - scratch, blocks * thread / all, blocks * (thread + 1) / all);
  });
}

// Bytes of scratch that an operation needs.
template <class Type> static int64_t scratch_bytes(const Operation &op) {
  return op.kind == WINOGRAD_CONVOLUTION ? tiles_bytes<Type>(op) : 0;
}

#define ARGUMENTS                                                                                                     \
  const Operation *operations, int64_t count, const Numbers *numbers, const void *images, int64_t vectors_in,         \
      void *results, int64_t vectors_out, int64_t result, void *memory, int64_t vectors, int64_t scratch,             \
      int64_t blocks, int64_t threads
#define NAMES                                                                                                         \
  operations, count, numbers, images, vectors_in, results, vectors_out, result, memory, vectors, scratch, blocks,     \
      threads

#define KERNELS(name, Type)                                                                        \
  void pwoct_run_##name(ARGUMENTS) { run<Type>(NAMES); }                                           \
  int64_t pwoct_scratch_vectors_##name(const Operation *operations, int64_t count) {               \
    return most_bytes(operations, count, scratch_bytes<Type>) / BYTES;                             \
  }

extern "C" {
int64_t pwoct_vector_bytes() { return BYTES; }
int64_t pwoct_operation_bytes() { return sizeof(Operation); }
int64_t pwoct_multiplies_bfloat16() { return MULTIPLIES_BFLOAT16; }
int64_t pwoct_channels() { return CHANNELS; }
int64_t pwoct_has_tiles() { // of bfloat16, for the library's convolutions
#if defined(__AMX_BF16__)
  return 1;
#else
  return 0;
#endif
}
KERNELS(float32, Real<float>)
KERNELS(float64, Real<double>)
KERNELS(bfloat16, BFloat16)
}

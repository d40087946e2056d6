// Runs the kernels for a test in another process: on another processor by an emulator, or with sanitizers. It reads
// requests from its input and writes answers to its output; see driver.py.

#include "forward.h"

#include <cstdio>
#include <cstdlib>

namespace {
struct Buffer {
  int64_t bytes = 0;
  void *data = nullptr;
  Buffer() = default;
  Buffer(const Buffer &) = delete;
  ~Buffer() { std::free(data); }
  void *reserve(int64_t wanted) { // exactly, so that a sanitizer sees what lies beyond
    bytes = wanted;
    if (posix_memalign(&data, 64, wanted ? wanted : 1)) std::abort();
    return data;
  }
};

struct Request {
  int64_t what, dtype, count, numbers[8];
};
enum { COUNTS, SCRATCH, RUN, TRAIN };

struct Step { // of training.cpp
  const void *weights, *parameters;
  void *gradients, *sums, *moments, *memory, *scratch;
  const void *tables, *constants;
  int64_t parameter_count, sum_count, vectors, blocks, scratch_bytes;
};

void read(void *data, int64_t bytes) {
  if (bytes && std::fread(data, bytes, 1, stdin) != 1) std::abort();
}

void read(Buffer &buffer) {
  int64_t bytes;
  read(&bytes, sizeof bytes);
  read(buffer.reserve(bytes), bytes);
}

void write(const void *data, int64_t bytes) {
  if (bytes && std::fwrite(data, bytes, 1, stdout) != 1) std::abort();
}
} // namespace

#define RUN_ARGUMENTS                                                                                      \
  const Operation *, int64_t, const Numbers *, const void *, int64_t, void *, int64_t, int64_t, void *,     \
      int64_t, int64_t, int64_t, int64_t
#define KERNELS(name)                                                      \
  void pwoct_run_##name(RUN_ARGUMENTS);                                    \
  void pwoct_train_##name(const Operation *, int64_t, Step *, int64_t);    \
  int64_t pwoct_scratch_vectors_##name(const Operation *, int64_t);        \
  int64_t pwoct_scratch_bytes_##name(const Operation *, int64_t);

extern "C" {
int64_t pwoct_vector_bytes();
int64_t pwoct_operation_bytes();
int64_t pwoct_step_bytes();
int64_t pwoct_channels();
int64_t pwoct_side();
int64_t pwoct_multiplies_bfloat16();
int64_t pwoct_has_tiles();
int64_t pwoct_tile_channels(int64_t left);
KERNELS(float32)
KERNELS(float64)
KERNELS(bfloat16)
}

namespace {
struct Kernels {
  decltype(&pwoct_run_float32) run;
  decltype(&pwoct_train_float32) train;
  decltype(&pwoct_scratch_vectors_float32) scratch_vectors, scratch_bytes;
};
#define ROW(name) {pwoct_run_##name, pwoct_train_##name, pwoct_scratch_vectors_##name, pwoct_scratch_bytes_##name}
const Kernels KERNELS_OF[] = {ROW(float32), ROW(float64), ROW(bfloat16)};

void answer_counts() {
  constexpr int NAMES = 7, TILES = 64;
  int64_t counts[NAMES + TILES] = {
      pwoct_vector_bytes(), pwoct_operation_bytes(), pwoct_step_bytes(), pwoct_channels(),
      pwoct_side(),         pwoct_multiplies_bfloat16(), pwoct_has_tiles(),
  };
  for (int64_t left = 1; left <= TILES; ++left) counts[NAMES + left - 1] = pwoct_tile_channels(left);
  write(counts, sizeof counts);
}

void answer_run(const Kernels &kernels, const Request &request, const Operation *operations) {
  Buffer weights, scalars, tables, constants, images, results, memory;
  for (Buffer *buffer : {&weights, &scalars, &tables, &constants, &images}) read(*buffer);
  const Numbers numbers = {weights.data, scalars.data, static_cast<const int64_t *>(tables.data),
                           static_cast<const double *>(constants.data)};
  const auto [in, out, result, vectors, scratch, blocks, threads, unused] = request.numbers;
  (void)unused;
  kernels.run(operations, request.count, &numbers, images.data, in, results.reserve(blocks * out * BYTES), out,
              result, memory.reserve(threads * vectors * BYTES), vectors, scratch, blocks, threads);
  write(results.data, results.bytes);
}

void answer_train(const Kernels &kernels, const Request &request, const Operation *operations) {
  Buffer weights, parameters, tables, constants, gradients, sums, moments, memory, scratch;
  for (Buffer *buffer : {&weights, &parameters, &tables, &constants, &gradients, &sums, &moments, &memory})
    read(*buffer);
  const auto [parameter_count, sum_count, vectors, blocks, scratch_bytes, threads, unused, unused_too] = request.numbers;
  (void)unused, (void)unused_too;
  Step step = {weights.data, parameters.data, gradients.bytes ? gradients.data : nullptr, sums.data, moments.data,
               memory.data, scratch.reserve(threads * scratch_bytes), tables.data, constants.data, parameter_count, sum_count, vectors, blocks,
               scratch_bytes};
  kernels.train(operations, request.count, &step, threads);
  for (const Buffer *buffer : {&gradients, &sums, &moments, &memory}) write(buffer->data, buffer->bytes);
}
} // namespace

int main() {
  for (Request request; std::fread(&request, sizeof request, 1, stdin) == 1; std::fflush(stdout)) {
    Buffer recorded;
    read(recorded.reserve(request.count * sizeof(Operation)), request.count * sizeof(Operation));
    const auto *operations = static_cast<const Operation *>(recorded.data);
    const Kernels &kernels = KERNELS_OF[request.dtype];
    switch (request.what) {
    case COUNTS: answer_counts(); break;
    case SCRATCH: {
      const int64_t found[] = {kernels.scratch_vectors(operations, request.count),
                               kernels.scratch_bytes(operations, request.count)};
      write(found, sizeof found);
      break;
    }
    case RUN: answer_run(kernels, request, operations); break;
    case TRAIN: answer_train(kernels, request, operations); break;
    default: std::abort();
    }
  }
}

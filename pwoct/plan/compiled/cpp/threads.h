// Threads that compute a pass together. With OpenMP they are PyTorch's, if both use the same library: its idle
// threads spin for some milliseconds, and would keep other threads off the processors.

#pragma once

#include <cstdint>

#if defined(_OPENMP)
#include <omp.h>

// Calls part(thread, threads) concurrently in `threads` threads, or in fewer if so many are not available.
template <class Part> static void in_parallel(int64_t threads, const Part &part) {
  if (threads == 1) return part((int64_t)0, (int64_t)1); // a forked process must not start more
#pragma omp parallel num_threads(threads)
  part((int64_t)omp_get_thread_num(), (int64_t)omp_get_num_threads());
}
#else
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

template <class Part> static void in_parallel(int64_t threads, const Part &part) {
  std::atomic<int64_t> there{0}; // the number of threads, once known
  std::vector<std::thread> others;
  others.reserve(threads);
  try {
    while ((int64_t)others.size() + 1 < threads)
      others.emplace_back([&, thread = (int64_t)others.size() + 1] {
        while (there.load(std::memory_order_acquire) == 0) std::this_thread::yield();
        part(thread, there.load());
      });
  } catch (const std::system_error &) { // no more threads available
  }
  there.store(others.size() + 1, std::memory_order_release);
  part((int64_t)0, (int64_t)others.size() + 1);
  for (std::thread &other : others) other.join();
}
#endif

// Threads that compute a pass together. With OpenMP they are those of PyTorch, if both use the same library:
// its threads wait for work by spinning for some milliseconds, and would keep others from the processors.

#pragma once

#include <cstdint>

#if defined(_OPENMP)
#include <omp.h>

// Calls part(thread, threads) in `threads` threads at once, or in fewer if there are not so many.
template <class Part> static void in_parallel(int64_t threads, const Part &part) {
  if (threads == 1) return part((int64_t)0, (int64_t)1); // a forked process may not ask for more
#pragma omp parallel num_threads(threads)
  part((int64_t)omp_get_thread_num(), (int64_t)omp_get_num_threads());
}
#else
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

template <class Part> static void in_parallel(int64_t threads, const Part &part) {
  std::atomic<int64_t> there{0}; // how many there are, once that is known
  std::vector<std::thread> others;
  others.reserve(threads);
  try {
    while ((int64_t)others.size() + 1 < threads)
      others.emplace_back([&, thread = (int64_t)others.size() + 1] {
        while (there.load(std::memory_order_acquire) == 0) std::this_thread::yield();
        part(thread, there.load());
      });
  } catch (const std::system_error &) { // no more of them
  }
  there.store(others.size() + 1, std::memory_order_release);
  part((int64_t)0, (int64_t)others.size() + 1);
  for (std::thread &other : others) other.join();
}
#endif

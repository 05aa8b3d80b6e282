// clock.h - the clock that polling and copying measure by.
#pragma once

#include <time.h>

#include <cstdint>

namespace smcd {

/// Nanoseconds of CLOCK_MONOTONIC. 20-30 ns a call: the vDSO, no system call.
inline uint64_t Now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace smcd

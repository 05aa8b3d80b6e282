// copying.h - how large pieces get into a ring that another processor reads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace smcd {

/// Chooses between two ways to copy, by how long each took lately. One per environment.
///
/// An ordinary copy first fetches every line of the ring from the cache of the processor that has just read it. Where that
/// processor is far away (another core complex, another socket, most virtual machines) this is what limits a stream: 2.2
/// GB/s on the machine this was measured on, 8.6 while host moved both processors close together. A streaming copy writes
/// past the caches and fetches nothing: 18 GB/s in either state. Where caches are shared and quick the ordinary copy does
/// 20-50 GB/s, and the reader finds the bytes in the cache. What the machine is can change while we run.
class Copying {
 public:
  /// As memcpy: the ranges do not overlap. Everything is visible to others before stores that follow.
  void Copy(uint8_t* target, const uint8_t* source, size_t length);

 private:
  enum Way : uint8_t { kStreaming = 0, kOrdinary = 1 };
  void Measure(uint8_t* target, const uint8_t* source, size_t length);

  Way way_ = kStreaming;
  uint32_t copies_ = 0;
  /// Picoseconds per byte, a running mean of each way.
  uint32_t cost_[2] = {0, 0};
};

}  // namespace smcd

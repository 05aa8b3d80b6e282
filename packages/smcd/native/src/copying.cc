// copying.cc - copies that go past the caches, and the choice when to.

#include "copying.h"

#include <errno.h>

#include <cstring>

#include "clock.h"
#include "environment.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace smcd {
namespace {

#if defined(__SSE2__)
constexpr size_t kLine = 64;

void CopyStreaming(uint8_t* target, const uint8_t* source, size_t length) {
  const size_t head = (kLine - (reinterpret_cast<uintptr_t>(target) & (kLine - 1))) & (kLine - 1);
  if (length < head + kLine) {
    memcpy(target, source, length);
    return;
  }
  memcpy(target, source, head);
  size_t at = head;
  for (; at + kLine <= length; at += kLine) {
    const auto* from = reinterpret_cast<const __m128i*>(source + at);
    auto* to = reinterpret_cast<__m128i*>(target + at);
    const __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1), c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);
    _mm_stream_si128(to, a);
    _mm_stream_si128(to + 1, b);
    _mm_stream_si128(to + 2, c);
    _mm_stream_si128(to + 3, d);
  }
  memcpy(target + at, source + at, length - at);
  // Streaming stores are not ordered with the store of the cursor otherwise.
  _mm_sfence();
}
#else
void CopyStreaming(uint8_t* target, const uint8_t* source, size_t length) { memcpy(target, source, length); }
#endif

/// Shorter copies are not measured: reading the clock would be a good part of them.
constexpr size_t kMeasured = 8 * 1024;
/// Copies after which the other way is tried again, and how often in a row. The first tries come early: at powers of two.
constexpr uint32_t kRetry = 1024;
constexpr uint32_t kTries = 2;

}  // namespace

void Copying::Copy(uint8_t* target, const uint8_t* source, size_t length) {
#if defined(__SSE2__)
  if (length >= kMeasured) return Measure(target, source, length);
  if (way_ == kStreaming) return CopyStreaming(target, source, length);
#endif
  memcpy(target, source, length);
}

void Copying::Measure(uint8_t* target, const uint8_t* source, size_t length) {
  const uint32_t copy = copies_++;
  const uint32_t since = copy < kRetry ? copy & ~(1u << (31 - __builtin_clz(copy | 1))) : copy % kRetry;
  const bool trying = since < kTries;
  const Way way = trying ? static_cast<Way>(1 - way_) : way_;
  const uint64_t begin = Now();
  if (way == kStreaming) CopyStreaming(target, source, length);
  else memcpy(target, source, length);
  const auto cost = static_cast<uint32_t>((Now() - begin) * 1000 / length);
  // Of the way that is tried the best try counts: whatever interrupted it was not its fault.
  if (!trying) cost_[way] = cost_[way] == 0 ? cost : static_cast<uint32_t>((cost_[way] * uint64_t{7} + cost) / 8);
  else if (since == 0 || cost < cost_[way]) cost_[way] = cost;
  if (trying && since + 1 == kTries && cost_[way] < cost_[way_]) way_ = way;
}

namespace {

/// copyIn(target, at, source, start, length) -> 0 or -EINVAL. Both are byte views; a view whose memory was unmapped has no
/// length.
Napi::Value CopyIn(const Napi::CallbackInfo& info) {
  auto target = info[0].As<Napi::Uint8Array>();
  const auto at = static_cast<size_t>(info[1].As<Napi::Number>().Uint32Value());
  auto source = info[2].As<Napi::Uint8Array>();
  const auto start = static_cast<size_t>(info[3].As<Napi::Number>().Int64Value());
  const auto length = static_cast<size_t>(info[4].As<Napi::Number>().Uint32Value());
  if (at > target.ByteLength() || length > target.ByteLength() - at || start > source.ByteLength() || length > source.ByteLength() - start) {
    return Result(info.Env(), -EINVAL);
  }
  Environment::Get(info.Env())->copying.Copy(target.Data() + at, source.Data() + start, length);
  return Result(info.Env(), 0);
}

}  // namespace

void InitCopying(Napi::Env env, Napi::Object exports) { exports["copyIn"] = Napi::Function::New(env, CopyIn); }

}  // namespace smcd

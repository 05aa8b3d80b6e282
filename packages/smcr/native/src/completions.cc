// completions.cc - see completions.h.

#include "completions.h"

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace smcr {

using namespace abi;

namespace {

constexpr int kBatch = 16;
/// Of an answer of ours. Callers' ids have 32 bits.
constexpr uint64_t kAnswerId = UINT64_MAX;
/// LLC: every message has 44 bytes at least; byte 3 has the flags, of which this says that it is an answer.
constexpr uint32_t kLlcBytes = 44;
constexpr uint8_t kResponse = 0x80;
/// How the data of a TEST LINK begins that asks the loop for something, see llc/peer-question.ts, and what is said for it meanwhile.
constexpr uint8_t kQuestion[] = {'s', 'm', 'c', 'j', 's', '?', 0, 0, 0};
constexpr uint8_t kNotYet = 4;
/// Completions of one stall, and bytes of their messages. Then receives stay as they are, and the peer's adapter waits (RNR): a
/// peer cannot have memory without end.
constexpr size_t kMostKept = 65536;
constexpr size_t kMostBytes = size_t{16} << 20;

/// Where the message of a receive lies.
const uint8_t* Message(const GuardedPair& pair, const ibv_wc& completion) {
  return pair.receive + (completion.wr_id - pair.first_id) * pair.slot_bytes;
}

}  // namespace

Completions::Completions(const Library& library, ibv_cq* queue, ibv_comp_channel* channel)
    : library_(library), queue_(queue), channel_(channel) {}

int Completions::Poll(ibv_wc* batch, int most) { return queue_ == nullptr ? 0 : queue_->context->ops.poll_cq(queue_, most, batch); }

GuardedPair* Completions::Find(uint32_t number) {
  for (GuardedPair& pair : pairs_) {
    if (pair.number == number) return &pair;
  }
  return nullptr;
}

int Completions::Take(Taken* out, size_t most, uint8_t* room, size_t bytes, size_t* used) {
  std::lock_guard lock(mutex_);
  size_t count = 0;
  for (; count < most && !waiting_.empty(); count++) {
    Waiting& first = waiting_.front();
    out[count] = {first.completion, 0, first.bytes != nullptr, first.answered};
    if (first.bytes != nullptr) {
      const size_t length = first.completion.byte_len;
      if (bytes - *used < length) return count > 0 ? static_cast<int>(count) : -ENOBUFS;
      memcpy(room + *used, first.bytes.get(), length);
      out[count].at = *used;
      *used += length;
      waiting_bytes_ -= length;
    }
    waiting_.pop_front();
  }
  while (count < most) {
    ibv_wc batch[kBatch];
    const size_t left = most - count;
    const int size = left < kBatch ? static_cast<int>(left) : kBatch;
    const int got = Poll(batch, size);
    if (got < 0) return count > 0 ? static_cast<int>(count) : -EIO;
    for (int i = 0; i < got; i++) {
      if (IsOwn(batch[i])) continue;
      GuardedPair* pair = pairs_.empty() ? nullptr : Receiver(batch[i]);
      out[count++] = {batch[i], 0, false, pair != nullptr && Answer(*pair, batch[i])};
    }
    if (got < size) break;
  }
  return static_cast<int>(count);
}

void Completions::Forget(uint32_t pair) {
  std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [this, pair](const Waiting& one) {
    if (one.completion.qp_num != pair) return false;
    if (one.bytes != nullptr) waiting_bytes_ -= one.completion.byte_len;
    return true;
  });
  ibv_wc batch[kBatch];
  for (;;) {
    const int got = Poll(batch, kBatch);
    for (int i = 0; i < got; i++) {
      if (batch[i].qp_num != pair && !IsOwn(batch[i])) Keep(batch[i], nullptr, false);
    }
    if (got < kBatch) return;
  }
}

void Completions::Guard(GuardedPair pair) {
  std::lock_guard lock(mutex_);
  pairs_.push_back(std::move(pair));
}

void Completions::Unguard(uint32_t number) {
  std::lock_guard lock(mutex_);
  std::erase_if(pairs_, [number](const GuardedPair& pair) { return pair.number == number; });
}

bool Completions::guarded() {
  std::lock_guard lock(mutex_);
  return !pairs_.empty();
}

bool Completions::waiting() {
  std::lock_guard lock(mutex_);
  return !waiting_.empty();
}

void Completions::Close() {
  std::lock_guard lock(mutex_);
  queue_ = nullptr;
  channel_ = nullptr;
  waiting_.clear();
  waiting_bytes_ = 0;
  pairs_.clear();
}

int Completions::channel() {
  std::lock_guard lock(mutex_);
  return channel_ == nullptr || channel_broken_ || pairs_.empty() ? -1 : channel_->fd;
}

Completions::Served Completions::Serve() {
  std::lock_guard lock(mutex_);
  Served served;
  if (queue_ == nullptr || pairs_.empty()) return served;
  TakeEvents();
  if (!ServeAll(&served)) return served;
  // What completes between the last look and this has no event: hence another look.
  queue_->context->ops.req_notify_cq(queue_, 0);
  ServeAll(&served);
  return served;
}

void Completions::TakeEvents() {
  ibv_cq* ignored_queue = nullptr;
  void* ignored = nullptr;
  unsigned events = 0;
  // Libuv has made the descriptor non-blocking. Events that the loop takes at the same moment are its own.
  while (library_.get_cq_event(channel_, &ignored_queue, &ignored) == 0) events++;
  // A device that was taken away makes its descriptor readable for ever.
  if (errno != EAGAIN && errno != EINTR) channel_broken_ = true;
  if (events > 0) library_.ack_cq_events(queue_, events);
}

/// False when no more can be kept.
bool Completions::ServeAll(Served* served) {
  ibv_wc batch[kBatch];
  for (;;) {
    if (waiting_.size() > kMostKept || waiting_bytes_ > kMostBytes) return false;
    const int got = Poll(batch, kBatch);
    for (int i = 0; i < got; i++) ServeOne(batch[i], served);
    if (got < kBatch) return true;
  }
}

bool Completions::IsOwn(const ibv_wc& completion) {
  if (completion.wr_id != kAnswerId) return false;
  if (GuardedPair* pair = Find(completion.qp_num)) pair->answering = false;
  return true;
}

GuardedPair* Completions::Receiver(const ibv_wc& completion) {
  if (completion.status != 0 || (completion.opcode & IBV_WC_RECV) == 0) return nullptr;
  GuardedPair* pair = Find(completion.qp_num);
  if (pair == nullptr || completion.wr_id < pair->first_id || completion.wr_id - pair->first_id >= pair->slots) return nullptr;
  return completion.byte_len <= pair->slot_bytes ? pair : nullptr;
}

void Completions::ServeOne(const ibv_wc& completion, Served* served) {
  if (IsOwn(completion)) return;
  GuardedPair* pair = Receiver(completion);
  served->kept++;
  if (pair == nullptr) {
    Keep(completion, nullptr, false);
    return;
  }
  const bool answered = Answer(*pair, completion);
  if (answered) served->answered++;
  auto bytes = std::make_unique<uint8_t[]>(completion.byte_len);
  memcpy(bytes.get(), Message(*pair, completion), completion.byte_len);
  // A slot that cannot be posted still has the message: that is the loop's, which finds out what is wrong with the pair.
  if (!PostAgain(*pair, completion)) bytes.reset();
  Keep(completion, std::move(bytes), answered);
}

void Completions::Keep(const ibv_wc& completion, std::unique_ptr<uint8_t[]> bytes, bool answered) {
  if (bytes != nullptr) waiting_bytes_ += completion.byte_len;
  waiting_.push_back({completion, std::move(bytes), answered});
}

bool Completions::Answer(GuardedPair& pair, const ibv_wc& completion) {
  const uint8_t* message = Message(pair, completion);
  const uint32_t length = completion.byte_len;
  if (length < kLlcBytes || length > kAnswerBytes || message[0] != pair.test_link || (message[3] & kResponse) != 0) return false;
  if (pair.answering) return false;
  memcpy(pair.answer, message, length);
  pair.answer[3] |= kResponse;
  if (memcmp(pair.answer + 4, kQuestion, sizeof kQuestion) == 0) pair.answer[4 + sizeof kQuestion - 1] = kNotYet;
  ibv_sge part = {reinterpret_cast<uintptr_t>(pair.answer), length, pair.answer_lkey};
  ibv_send_wr request = {};
  request.wr_id = kAnswerId;
  request.sg_list = &part;
  request.num_sge = 1;
  request.opcode = IBV_WR_SEND;
  request.send_flags = IBV_SEND_SIGNALED | IBV_SEND_SOLICITED;
  ibv_send_wr* bad = nullptr;
  pair.answering = pair.raw->context->ops.post_send(pair.raw, &request, &bad) == 0;
  return pair.answering;
}

bool Completions::PostAgain(const GuardedPair& pair, const ibv_wc& completion) {
  ibv_sge part = {reinterpret_cast<uintptr_t>(Message(pair, completion)), pair.slot_bytes, pair.receive_lkey};
  ibv_recv_wr request = {completion.wr_id, nullptr, &part, 1};
  ibv_recv_wr* bad = nullptr;
  return pair.raw->context->ops.post_recv(pair.raw, &request, &bad) == 0;
}

}  // namespace smcr

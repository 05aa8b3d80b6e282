// guard-stress.cc - the stall guard and a loop at one queue, as real threads, over an adapter of memory: nothing may be lost, doubled or out
// of order, every TEST LINK is answered once, and a loop that stands still until its peer has an answer gets on. Compiled
// with ThreadSanitizer by stall-guard.test.ts. Arguments: seed, milliseconds of chaos. Prints "ok" and counters.

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>

#include "../../native/src/stall_guard.h"

using namespace smcr;
using namespace smcr::abi;

namespace {

constexpr uint32_t kSlots = 8;
constexpr uint32_t kSlotBytes = 64;
constexpr uint32_t kFirstId = 0x80000000;
constexpr uint32_t kPair = 17;
constexpr uint8_t kTestLink = 0x27;
constexpr uint32_t kMessage = 44;

void Fail(const std::string& why) {
  fprintf(stderr, "%s\n", why.c_str());
  fflush(stderr);
  _exit(1);
}

/// A queue pair, its completion queue and channel, and what its peer has sent and found no receive for.
class Adapter {
 public:
  Adapter() {
    context.ops.poll_cq = [](ibv_cq* raw, int most, ibv_wc* out) { return Of(raw).Poll(most, out); };
    context.ops.req_notify_cq = [](ibv_cq* raw, int) { return Of(raw).Arm(); };
    context.ops.post_send = [](ibv_qp* raw, ibv_send_wr* request, ibv_send_wr**) { return Of(raw).Send(*request); };
    context.ops.post_recv = [](ibv_qp* raw, ibv_recv_wr* request, ibv_recv_wr**) { return Of(raw).Receive(*request); };
    queue.context = &context;
    queue.cq_context = this;
    pair.context = &context;
    pair.qp_context = this;
    pair.qp_num = kPair;
    channel.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC | EFD_SEMAPHORE);
    library.get_cq_event = [](ibv_comp_channel* from, ibv_cq**, void**) {
      eventfd_t one;
      return eventfd_read(from->fd, &one);
    };
    library.ack_cq_events = [](ibv_cq*, unsigned) {};
  }

  /// The peer sends. It waits where there is no receive, as adapters do (RNR).
  void Arrive(const uint8_t* message) {
    std::lock_guard lock(mutex_);
    wire_.emplace_back(message, message + kMessage);
    Deliver();
  }

  size_t answers() {
    std::lock_guard lock(mutex_);
    return answers_.size();
  }
  std::vector<uint32_t> TakeAnswers() {
    std::lock_guard lock(mutex_);
    return answers_;
  }

  Library library = {};
  ibv_context context = {};
  ibv_cq queue = {};
  ibv_qp pair = {};
  ibv_comp_channel channel = {};
  alignas(8) uint8_t memory[kSlots * kSlotBytes] = {};
  alignas(8) uint8_t answer[Completions::kAnswerBytes] = {};

 private:
  template <typename Raw>
  static Adapter& Of(Raw* raw) {
    if constexpr (std::is_same_v<Raw, ibv_cq>) return *static_cast<Adapter*>(raw->cq_context);
    else return *static_cast<Adapter*>(raw->qp_context);
  }

  int Poll(int most, ibv_wc* out) {
    std::lock_guard lock(mutex_);
    int count = 0;
    for (; count < most && !completed_.empty(); count++) {
      out[count] = completed_.front();
      completed_.pop_front();
    }
    return count;
  }

  int Arm() {
    std::lock_guard lock(mutex_);
    armed_ = true;
    return 0;
  }

  int Send(const ibv_send_wr& request) {
    std::lock_guard lock(mutex_);
    const auto* bytes = reinterpret_cast<const uint8_t*>(request.sg_list->addr);
    if (request.sg_list->length != kMessage || bytes[0] != kTestLink || bytes[3] != 0x80) Fail("an answer that is none");
    uint32_t number;
    memcpy(&number, bytes + 4, sizeof number);
    answers_.push_back(number);
    ibv_wc done = {};
    done.wr_id = request.wr_id;
    done.qp_num = kPair;
    Complete(done);
    return 0;
  }

  int Receive(const ibv_recv_wr& request) {
    std::lock_guard lock(mutex_);
    if (posted_.size() == kSlots) Fail("more receives than slots");
    posted_.push_back(request.wr_id);
    Deliver();
    return 0;
  }

  void Deliver() {
    while (!wire_.empty() && !posted_.empty()) {
      const uint64_t id = posted_.front();
      posted_.pop_front();
      memcpy(memory + (id - kFirstId) * kSlotBytes, wire_.front().data(), kMessage);
      wire_.pop_front();
      ibv_wc done = {};
      done.wr_id = id;
      done.opcode = IBV_WC_RECV;
      done.byte_len = kMessage;
      done.qp_num = kPair;
      Complete(done);
    }
  }

  void Complete(const ibv_wc& done) {
    completed_.push_back(done);
    if (armed_) eventfd_write(channel.fd, 1);
    armed_ = false;
  }

  std::mutex mutex_;
  std::deque<std::vector<uint8_t>> wire_;
  std::deque<uint64_t> posted_;
  std::deque<ibv_wc> completed_;
  std::vector<uint32_t> answers_;
  bool armed_ = false;
};

uint64_t Now() { return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()); }

/// A loop as libuv has it: waits, counts how long, calls back, turns.
class Loop {
 public:
  Loop(Adapter& adapter, uint32_t seed)
      : adapter_(adapter),
        random_(seed),
        completions_(std::make_shared<Completions>(adapter.library, &adapter.queue, &adapter.channel)),
        tell_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        guard_({.patience = 3, .idle = [this] { return Idle(); }, .tell = [this] { eventfd_write(tell_, 1); }}) {
    GuardedPair pair;
    pair.raw = &adapter.pair;
    pair.number = kPair;
    pair.receive = adapter.memory;
    pair.slot_bytes = kSlotBytes;
    pair.slots = kSlots;
    pair.first_id = kFirstId;
    pair.answer = adapter.answer;
    pair.test_link = kTestLink;
    for (uint32_t slot = 0; slot < kSlots; slot++) Post(kFirstId + slot);
    completions_->Guard(pair);
    if (guard_.Start() != 0) Fail("no thread");
    guard_.Add(completions_);
    adapter_.context.ops.req_notify_cq(&adapter_.queue, 0);
  }

  void Run() {
    while (!ended.load()) {
      Wait();
      eventfd_t ignored;
      if ((eventfd_read(tell_, &ignored) == 0 && completions_->waiting()) || again_) Handle();
      unsigned events = 0;
      while (eventfd_read(adapter_.channel.fd, &ignored) == 0) events++;
      if (events > 0) {
        guard_.Taken();
        Handle();
      }
      // Not only RDMA keeps loops from coming round.
      if (!stand_in_handler.load()) StandStill();
      MaybeStall(40);
      guard_.Turned();
    }
    guard_.Remove(completions_.get());
    completions_->Unguard(kPair);
    guard_.Stop();
  }

  const StallGuard::Counters& counters() const { return guard_.counters(); }

  std::atomic<bool> ended = false;
  std::atomic<bool> chaos = true;
  std::atomic<uint32_t> numbers = 0;
  std::atomic<uint32_t> tests = 0;
  /// Stand still until the peer has so many answers; 0: do not.
  std::atomic<size_t> stand_until = 0;
  std::atomic<bool> stand_in_handler = false;
  std::atomic<bool> standing = false;

 private:
  uint64_t Idle() {
    std::lock_guard lock(idle_mutex_);
    return idle_ + (entered_ == 0 ? 0 : Now() - entered_);
  }

  void Wait() {
    {
      std::lock_guard lock(idle_mutex_);
      entered_ = Now();
    }
    pollfd descriptors[] = {{adapter_.channel.fd, POLLIN, 0}, {tell_, POLLIN, 0}};
    poll(descriptors, 2, again_ ? 0 : static_cast<int>(random_() % 8));
    std::lock_guard lock(idle_mutex_);
    idle_ += Now() - entered_;
    entered_ = 0;
  }

  /// Others have their turn between many messages.
  void Handle() {
    const unsigned most = 1 + random_() % 100;
    again_ = !TakeAll(most);
    adapter_.context.ops.req_notify_cq(&adapter_.queue, 0);
    again_ = again_ || !TakeAll(most);
  }

  bool TakeAll(unsigned most) {
    for (unsigned count = 0; count < most; count++) {
      Completions::Taken taken[16];
      uint8_t room[3 * kMessage];
      size_t used = 0;
      const int got = completions_->Take(taken, 1 + random_() % 16, room, sizeof room, &used);
      if (got < 0) Fail("take: " + std::to_string(got));
      if (got == 0) return true;
      for (int i = 0; i < got; i++) {
        const Completions::Taken& one = taken[i];
        const uint64_t id = one.completion.wr_id;
        One(one.kept ? room + one.at : adapter_.memory + (id - kFirstId) * kSlotBytes, one.answered);
        if (!one.kept) Post(id);
        MaybeStall(60);
        if (stand_in_handler.load()) StandStill();
      }
    }
    return false;
  }

  void One(const uint8_t* message, bool answered) {
    uint32_t number;
    memcpy(&number, message + 4, sizeof number);
    if (message[0] == 0xfe) {
      if (number != numbers.load()) Fail("number " + std::to_string(number) + " instead of " + std::to_string(numbers.load()));
      numbers.fetch_add(1);
      return;
    }
    if (number != tests.load()) Fail("TEST LINK " + std::to_string(number) + " instead of " + std::to_string(tests.load()));
    tests.fetch_add(1);
    // One whose answer before is still under way is the loop's to answer.
    if (!answered) unanswered_++;
  }

  void Post(uint64_t id) {
    ibv_sge part = {};
    ibv_recv_wr request = {id, nullptr, &part, 1};
    ibv_recv_wr* bad = nullptr;
    adapter_.context.ops.post_recv(&adapter_.pair, &request, &bad);
  }

  void MaybeStall(unsigned one_in) {
    if (!chaos.load() || random_() % one_in != 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 12));
  }

  void StandStill() {
    const size_t until = stand_until.exchange(0);
    if (until == 0) return;
    standing.store(true);
    while (adapter_.answers() < until) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    standing.store(false);
  }

  Adapter& adapter_;
  std::mt19937 random_;
  std::shared_ptr<Completions> completions_;
  int tell_;
  bool again_ = false;
  std::mutex idle_mutex_;
  uint64_t idle_ = 0;
  uint64_t entered_ = 0;
  uint32_t unanswered_ = 0;
  StallGuard guard_;
};

/// The peer's messages: numbers, and TEST LINKs one after the other, as RFC 7609 has them.
class Peer {
 public:
  Peer(Adapter& adapter, uint32_t seed) : adapter_(adapter), random_(seed) {}

  void Number() { Send(0xfe, numbers++); }

  void TestLink() {
    Send(kTestLink, tests++);
    while (adapter_.answers() < tests) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }

  void Chaos(int milliseconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    while (std::chrono::steady_clock::now() < end) {
      for (unsigned i = random_() % 40; i > 0; i--) Number();
      if (random_() % 3 == 0) TestLink();
      if (random_() % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 10));
    }
  }

  uint32_t numbers = 0;
  uint32_t tests = 0;

 private:
  void Send(uint8_t type, uint32_t number) {
    uint8_t message[kMessage] = {type, kMessage};
    memcpy(message + 4, &number, sizeof number);
    adapter_.Arrive(message);
  }

  Adapter& adapter_;
  std::mt19937 random_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto seed = static_cast<uint32_t>(argc > 1 ? atoi(argv[1]) : 1);
  Adapter adapter;
  Loop loop(adapter, seed);
  Peer peer(adapter, seed + 1);
  std::thread runs([&] { loop.Run(); });
  peer.Chaos(argc > 2 ? atoi(argv[2]) : 2000);
  // The loop stands still until the peer has its answer: elsewhere, or with a message in its hands and the queue not armed.
  loop.chaos.store(false);
  for (int i = 0; i < 60; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(i % 6));
    loop.stand_in_handler.store(i % 2 == 0);
    loop.stand_until.store(peer.tests + 1);
    if (i % 2 == 0) peer.Number();
    while (!loop.standing.load()) std::this_thread::sleep_for(std::chrono::microseconds(100));
    for (uint32_t count = 0; count < 2 * kSlots; count++) peer.Number();
    peer.TestLink();
    while (loop.standing.load()) std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  while (loop.numbers.load() < peer.numbers || loop.tests.load() < peer.tests) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  loop.ended.store(true);
  runs.join();
  const std::vector<uint32_t> answers = adapter.TakeAnswers();
  for (uint32_t i = 0; i < answers.size(); i++) {
    if (answers[i] != i) Fail("TEST LINK answered twice or not at all: " + std::to_string(i));
  }
  const StallGuard::Counters& counters = loop.counters();
  printf("ok numbers=%u tests=%u stalls=%llu answered=%llu kept=%llu\n", peer.numbers, peer.tests,
         static_cast<unsigned long long>(counters.stalls.load()), static_cast<unsigned long long>(counters.answered.load()),
         static_cast<unsigned long long>(counters.kept.load()));
  return 0;
}

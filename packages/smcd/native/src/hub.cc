// hub.cc - waiting: one per event loop, for all its peers. Looks at each peer's doorbell page once per turn of the loop,
// polls for a while when news is likely, and otherwise says that it sleeps before the loop blocks.
//
// A doorbell page belongs to the loop that reads it and is written by one peer (src/doorbell.ts has the layout):
//   sleeping  we store 1 before blocking; the peer swaps it to 0 and rings once
//   cpu       the processor we poll on, plus one; 0 while we sleep
//   news      count of tokens the peer has left, in the high 16 bits; compared with how many JavaScript has taken
//   overflow  set by the peer when there was no place for a token
//
// The order that must hold (test/model/doorbell fails without it): we store `sleeping`, then look at `news` again, both
// sequentially consistent; the peer stores `news`, then looks at `sleeping`.

#include <errno.h>
#include <sched.h>

#include <atomic>
#include <vector>

#include "clock.h"
#include "environment.h"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#define SMC_PAUSE() _mm_pause()
#elif defined(__aarch64__)
#define SMC_PAUSE() __asm__ volatile("isb" ::: "memory")
#else
#define SMC_PAUSE() __asm__ volatile("" ::: "memory")
#endif

namespace smcd {
namespace {

using Word = std::atomic<uint32_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 4);

// Indices in the doorbell page, in words.
enum : size_t { kSleeping = 32, kCpu = 64, kNews = 96, kOverflow = 97 };

// Indices in the state words shared with JavaScript of this environment (src/hub.ts has the same list).
enum : size_t { kTurn = 0, kActivity = 1, kMode = 2, kWindowMicros = 3, kAgain = 4, kSleeps = 5, kWakes = 6, kHandshakes = 7, kReadyCount = 8, kHot = 9, kSettled = 10, kImmediates = 11, kReady = 16, kTaken = 128 };
enum : int32_t { kModeOff = 0, kModeAuto = 1, kModeFixed = 2 };

constexpr size_t kMaxReady = 112;
constexpr size_t kMaxPeers = 4096;

// A slice of polling between two turns of the loop: timers and other sockets wait no longer than this.
constexpr uint64_t kSliceNanos = 2'000;
// After a dispatch, polling and dispatching may go on without a turn of the loop for this long: the answer to what was
// just sent is usually there within a microsecond, a turn costs about as much as the whole round trip.
constexpr uint64_t kInnerNanos = 50'000;
// What a sleep and a wake-up add to a gap, at most; a gap shorter than window + this is worth polling through.
constexpr uint64_t kWakeNanos = 50'000;
constexpr uint64_t kFirstWindowNanos = 20'000;
constexpr uint64_t kHandshakeNanos = 200'000;
// At most this share of the time may go into polling that found nothing.
constexpr uint64_t kBudgetPeriodNanos = 100'000'000;
constexpr uint64_t kBudgetNanos = kBudgetPeriodNanos / 5;

struct Peer {
  Word* own = nullptr;         // our page: the peer rings here
  const Word* theirs = nullptr;  // the peer's page: for the processor it runs on
  std::shared_ptr<Mapping> pinned[2];
  bool used = false;
};

class Hub final : public Napi::ObjectWrap<Hub>, public Handle {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Hub", {InstanceMethod<&Hub::Attach>("attach"), InstanceMethod<&Hub::Detach>("detach"), InstanceMethod<&Hub::CloseMethod>("close")});
  }

  /// new Hub(state: Int32Array, callback)
  explicit Hub(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Hub>(info) {
    environment_ = Environment::Get(info.Env());
    auto state = info[0].As<Napi::Int32Array>();
    state_ = state.Data();
    state_reference_ = Napi::Persistent(state.As<Napi::Object>());
    callback_ = Napi::Persistent(info[1].As<Napi::Function>());
    uv_loop_t* loop = environment_->loop();
    uv_prepare_init(loop, &prepare_);
    uv_check_init(loop, &check_);
    uv_idle_init(loop, &idle_);
    for (auto* handle : {reinterpret_cast<uv_handle_t*>(&prepare_), reinterpret_cast<uv_handle_t*>(&check_), reinterpret_cast<uv_handle_t*>(&idle_)}) {
      handle->data = this;
      uv_unref(handle);
    }
    open_handles_ = 3;
    environment_->Add(this);
    Ref();
  }

  void Close() override {
    if (closing_) return;
    closing_ = true;
    for (Peer& peer : peers_) Unpin(&peer);
    for (auto* handle : {reinterpret_cast<uv_handle_t*>(&prepare_), reinterpret_cast<uv_handle_t*>(&check_), reinterpret_cast<uv_handle_t*>(&idle_)}) {
      uv_close(handle, [](uv_handle_t* closed) {
        auto* self = static_cast<Hub*>(closed->data);
        if (--self->open_handles_ > 0) return;
        {
          Napi::HandleScope scope(self->Env());
          self->Unref();
        }
        // Last: after the last handle's, the environment may end.
        self->environment_->Removed(self);
      });
    }
  }

 private:
  /// attach(ownPage, peerPage) -> index of the peer in `ready`, or -errno
  Napi::Value Attach(const Napi::CallbackInfo& info) {
    const auto& all = *environment_->mappings();
    Peer peer;
    for (int i = 0; i < 2; i++) {
      auto page = info[i].As<Napi::ArrayBuffer>();
      auto found = all.find(page.Data());
      if (found == all.end() || found->second->length < 4096) return Result(info.Env(), -EINVAL);
      peer.pinned[i] = found->second;
    }
    if (closing_) return Result(info.Env(), -ESHUTDOWN);
    peer.own = static_cast<Word*>(peer.pinned[0]->address);
    peer.theirs = static_cast<const Word*>(peer.pinned[1]->address);
    peer.pinned[0]->pins++;
    peer.pinned[1]->pins++;
    peer.used = true;
    size_t index = 0;
    while (index < peers_.size() && peers_[index].used) index++;
    if (index >= kMaxPeers) {
      Unpin(&peer);
      return Result(info.Env(), -ENOSPC);
    }
    if (index == peers_.size()) peers_.push_back(peer);
    else peers_[index] = peer;
    if (attached_++ == 0) {
      uv_prepare_start(&prepare_, [](uv_prepare_t* handle) { static_cast<Hub*>(handle->data)->OnPrepare(); });
      uv_check_start(&check_, [](uv_check_t* handle) { static_cast<Hub*>(handle->data)->OnCheck(); });
    }
    return Result(info.Env(), static_cast<int64_t>(index));
  }

  Napi::Value Detach(const Napi::CallbackInfo& info) {
    const auto index = static_cast<size_t>(info[0].As<Napi::Number>().Uint32Value());
    if (index >= peers_.size() || !peers_[index].used) return Result(info.Env(), -EINVAL);
    Unpin(&peers_[index]);
    peers_[index] = Peer{};
    if (--attached_ == 0 && !closing_) {
      uv_prepare_stop(&prepare_);
      uv_check_stop(&check_);
      Idle(false);
    }
    return Result(info.Env(), 0);
  }

  static void Unpin(Peer* peer) {
    if (!peer->used) return;
    for (auto& page : peer->pinned) {
      page->Unpin();
      page.reset();
    }
    peer->used = false;
  }

  Napi::Value CloseMethod(const Napi::CallbackInfo& info) {
    Close();
    return info.Env().Undefined();
  }

  bool HasNews(size_t index) const {
    const Word* own = peers_[index].own;
    return (own[kNews].load(std::memory_order_seq_cst) >> 16) != static_cast<uint32_t>(state_[kTaken + index]) ||
           own[kOverflow].load(std::memory_order_seq_cst) != 0;
  }

  /// Does any peer have news? Remembers the last one, whose processor matters for polling.
  bool Ready() {
    if (state_[kAgain] != 0) return true;
    for (size_t i = 0; i < peers_.size(); i++) {
      if (peers_[i].used && HasNews(i)) {
        last_ = i;
        return true;
      }
    }
    return false;
  }

  /// Runs an empty idle handle: the loop then does not block.
  void Idle(bool on) {
    if (on == idling_) return;
    idling_ = on;
    if (on) uv_idle_start(&idle_, [](uv_idle_t*) {});
    else uv_idle_stop(&idle_);
  }

  /// Before the loop blocks, after JavaScript has run: so what is published here is what JavaScript wants now.
  void OnPrepare() {
    if (environment_->exiting()) return Idle(false);
    state_[kTurn]++;
    if (Ready()) return Idle(true);
    if (Poll()) return Idle(true);
    Idle(false);
    // Something else keeps the loop from blocking (an immediate, a due timer): no need to say that we sleep. It answers 0 as
    // well when descriptors are new to the loop, and then it does block: so this turn is made one that doesn't.
    if (uv_backend_timeout(environment_->loop()) == 0) return Idle(true);
    for (Peer& peer : peers_) {
      if (!peer.used) continue;
      peer.own[kCpu].store(0, std::memory_order_relaxed);
      // pairs with Doorbell.ring: it stores `news`, then reads `sleeping`
      peer.own[kSleeping].store(1, std::memory_order_seq_cst);
    }
    cpu_ = 0;
    slept_ = true;
    state_[kSleeps]++;
    if (Ready()) Idle(true);
  }

  /// After the loop has polled its descriptors.
  void OnCheck() {
    if (environment_->exiting()) return;
    state_[kTurn]++;
    const bool slept = slept_;
    if (slept) {
      slept_ = false;
      for (Peer& peer : peers_) {
        if (peer.used) peer.own[kSleeping].store(0, std::memory_order_seq_cst);
      }
    }
    if (!Ready()) return;
    // From here on what keeps the loop from blocking is somebody else's.
    Idle(false);
    const uint64_t start = Now();
    if (slept) Learn(start);
    Dispatch();
    uint64_t now = Now();
    last_activity_ = now;
    // Each dispatch is a callback of its own, with ticks and microtasks after it: what JavaScript wants to do after those
    // (the next chunk of a stream) need not wait for a turn of the loop.
    while (now - start < kInnerNanos && !closing_ && attached_ > 0) {
      // But an immediate comes before any further news, as it would before further I/O.
      if (Immediates()) return;
      if (state_[kAgain] == 0 && (state_[kHot] == 0 || !Spin(now + kSliceNanos))) return;
      Dispatch();
      now = Now();
      last_activity_ = now;
    }
  }

  void Dispatch() {
    state_[kTurn]++;
    state_[kAgain] = 0;
    state_[kActivity] = 0;
    int32_t count = 0;
    for (size_t i = 0; i < peers_.size() && count < static_cast<int32_t>(kMaxReady); i++) {
      if (peers_[i].used && HasNews(i)) state_[kReady + count++] = static_cast<int32_t>(i);
    }
    state_[kReadyCount] = count;
    state_[kImmediates] = Immediates() ? 1 : 0;
    state_[kHot] = Polls() && !SameCpu() ? 1 : 0;
    Napi::HandleScope scope(Env());
    environment_->Call(callback_, 0, nullptr);
    state_[kTurn]++;
  }

  /// Does anything but us keep the loop from blocking: immediates, mostly?
  bool Immediates() const { return uv_backend_timeout(environment_->loop()) == 0; }

  bool Spin(uint64_t until) {
    do {
      for (int i = 0; i < 32; i++) {
        if (Ready()) return true;
        SMC_PAUSE();
      }
    } while (Now() < until);
    return false;
  }

  bool Polls() const { return Window() > 0; }

  uint64_t Window() const {
    // A handshake is a few messages back and forth over TCP and the Unix socket: sleeping between them would make up most
    // of it. Polling keeps the loop turning, which is what sees them. The first message follows soon after.
    if (state_[kHandshakes] > 0) return kHandshakeNanos;
    if (state_[kMode] == kModeOff) return 0;
    if (settling_) return kHandshakeNanos;
    return state_[kMode] == kModeFixed ? MaxWindow() : (window_ < MaxWindow() ? window_ : MaxWindow());
  }

  uint64_t MaxWindow() const { return static_cast<uint64_t>(state_[kWindowMicros]) * 1000; }

  /// Polling steals the peer's processor when both run on one: then sleeping is the faster way. Also publishes ours.
  bool SameCpu() {
    const auto cpu = static_cast<uint32_t>(sched_getcpu()) + 1;
    if (cpu != cpu_) {
      cpu_ = cpu;
      for (Peer& peer : peers_) {
        if (peer.used) peer.own[kCpu].store(cpu, std::memory_order_relaxed);
      }
    }
    return last_ < peers_.size() && peers_[last_].used && peers_[last_].theirs[kCpu].load(std::memory_order_relaxed) == cpu;
  }

  /// One slice of polling if news is likely. True: the loop should turn without blocking and we are asked again.
  bool Poll() {
    if (state_[kMode] == kModeOff && state_[kHandshakes] == 0) return false;
    const uint64_t now = Now();
    if (state_[kSettled] != 0) {
      state_[kSettled] = 0;
      settling_ = true;
      settled_ = now;
    } else if (settling_ && now - settled_ >= kHandshakeNanos) {
      settling_ = false;
    }
    if (state_[kActivity] != 0) {
      // We sent something: an answer may come, whatever the gap before was.
      state_[kActivity] = 0;
      last_activity_ = now;
    }
    const uint64_t window = Window();
    if (window == 0 || now - last_activity_ >= window || Exhausted(now) || SameCpu()) return false;
    const bool found = Spin(now + kSliceNanos);
    // Whoever else wants this processor (a compiler or collector thread of V8, another program) has it before we go on:
    // without this, connecting took 1.1 ms instead of 0.4 while the code was still being compiled.
    if (!found) sched_yield();
    const uint64_t spent = Now() - now;
    unfruitful_ = found ? 0 : unfruitful_ + spent;
    if (!found) budget_spent_ += spent;
    else if (budget_spent_ > unfruitful_) budget_spent_ -= unfruitful_;
    return true;
  }

  /// Has too much polling found nothing lately? Only for the window that is learned: a fixed one is the user's wish.
  bool Exhausted(uint64_t now) {
    if (state_[kMode] == kModeFixed) return false;
    if (now - budget_start_ >= kBudgetPeriodNanos) {
      budget_start_ = now;
      budget_spent_ = 0;
      return OneProcessor();
    }
    // What a handshake waits for are descriptors: polling for it finds no news and ends by itself.
    return one_processor_ || (budget_spent_ >= kBudgetNanos && state_[kHandshakes] == 0);
  }

  /// With one usable processor polling only delays the peer. Looked at again each period: affinity can change.
  bool OneProcessor() {
    cpu_set_t set;
    CPU_ZERO(&set);
    one_processor_ = sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) < 2;
    return one_processor_;
  }

  /// After a real sleep that news ended. The rule of KVM's halt polling: a gap that a larger window would have covered
  /// makes it grow, a longer one makes it 0. Halving on failure instead gets stuck asleep, because the sleep itself adds
  /// its 50 us to the gap that is seen.
  void Learn(uint64_t now) {
    state_[kWakes]++;
    const uint64_t gap = now - last_activity_;
    const uint64_t most = MaxWindow();
    if (gap >= most + kWakeNanos) {
      window_ = 0;
    } else if (gap > window_) {
      window_ = window_ == 0 ? kFirstWindowNanos : window_ * 2;
      if (window_ > most) window_ = most;
    }
  }

  Environment* environment_ = nullptr;
  uv_prepare_t prepare_;
  uv_check_t check_;
  uv_idle_t idle_;
  int open_handles_ = 0;
  bool closing_ = false;
  bool idling_ = false;
  bool slept_ = false;
  bool one_processor_ = false;
  uint32_t attached_ = 0;
  std::vector<Peer> peers_;
  size_t last_ = 0;
  uint32_t cpu_ = 0;
  uint64_t window_ = 0;
  uint64_t last_activity_ = 0;
  /// A handshake has ended a moment ago, then: at this time.
  bool settling_ = false;
  uint64_t settled_ = 0;
  uint64_t unfruitful_ = 0;
  uint64_t budget_start_ = 0;
  uint64_t budget_spent_ = 0;
  int32_t* state_ = nullptr;
  Napi::ObjectReference state_reference_;
  Napi::FunctionReference callback_;
};

}  // namespace

void InitHub(Napi::Env env, Napi::Object exports) { exports["Hub"] = Hub::Define(env); }

}  // namespace smcd

// stall_guard.h - the thread that keeps links alive while the loop does not come round: JavaScript that computes, execSync. A peer
// gives a link up that has not answered TEST LINK for 2 s. Nothing of Node in here.
//
//     asleep      on the completion channels, while the loop waits for events itself: no timer, nothing is polled
//     watching    something happened: 500 ms, has the loop come round since? Back to sleep. Otherwise
//     guarding    Completions::Serve for every queue, then asleep on the channels and on the loop's return
//
// The loop and this thread share the queues by their locks (Completions), so handing over is no more than waking: who looks finds all.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "completions.h"

namespace smcr {

class StallGuard {
 public:
  struct Options {
    /// A loop that did not come round for so long is stalled, ms.
    int patience = 500;
    /// Nanoseconds the loop has waited for events so far; grows while it does. From this thread.
    std::function<uint64_t()> idle;
    /// Something waits for the loop. From this thread.
    std::function<void()> tell;
  };

  struct Counters {
    /// How often the guard took over, TEST LINKs it answered, completions it kept.
    std::atomic<uint64_t> stalls = 0;
    std::atomic<uint64_t> answered = 0;
    std::atomic<uint64_t> kept = 0;
  };

  explicit StallGuard(Options options);
  ~StallGuard();
  StallGuard(const StallGuard&) = delete;
  StallGuard& operator=(const StallGuard&) = delete;

  /// 0 or an errno.
  int Start();
  /// Ends the thread and waits for it.
  void Stop();

  // From the loop.

  void Add(std::shared_ptr<Completions> completions);
  void Remove(const Completions* completions);
  /// An event of a channel was taken: what follows may take long, and the queue is not armed.
  void Taken() {
    // Pairs with Sleep: it stores the state, then looks whether the loop waits.
    if (state_.load() != kAwake) Wake(kAsleep, kGuarding);
  }
  /// A turn of the loop. Nanoseconds.
  void Turned() {
    // Pairs with Guard: it stores the state, then looks at the turns.
    turns_.fetch_add(1);
    if (state_.load() == kGuarding) Wake(kGuarding, kGuarding);
  }

  const Counters& counters() const { return counters_; }

 private:
  enum State : int { kAwake, kAsleep, kGuarding };

  void Run();
  void Sleep();
  void Guard(uint64_t turn, uint64_t idle);
  void Serve();
  /// Until a channel, the loop or Stop wakes us.
  void Wait();
  /// For all of its time, or until Stop.
  void Watch();
  void Wake(State from, State or_from);
  std::vector<std::shared_ptr<Completions>> All();

  const Options options_;
  pthread_t thread_ = {};
  bool started_ = false;
  int wake_ = -1;  // eventfd
  std::atomic<int> state_ = kAwake;
  std::atomic<uint64_t> turns_ = 0;
  std::atomic<bool> stop_ = false;
  Counters counters_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Completions>> all_;  // guarded by mutex_
};

}  // namespace smcr

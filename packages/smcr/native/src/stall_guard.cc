// stall_guard.cc - see stall_guard.h.

#include "stall_guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace smcr {

using Clock = std::chrono::steady_clock;

StallGuard::StallGuard(Options options) : options_(std::move(options)) {}

StallGuard::~StallGuard() {
  Stop();
  if (wake_ >= 0) close(wake_);
}

int StallGuard::Start() {
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) return errno;
  // Signals of the process are for the threads that expect them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto run = [](void* self) -> void* {
    static_cast<StallGuard*>(self)->Run();
    return nullptr;
  };
  const int error = pthread_create(&thread_, nullptr, run, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  started_ = error == 0;
  return error;
}

void StallGuard::Stop() {
  if (!started_) return;
  started_ = false;
  stop_.store(true);
  eventfd_write(wake_, 1);
  pthread_join(thread_, nullptr);
}

void StallGuard::Add(std::shared_ptr<Completions> completions) {
  {
    std::lock_guard lock(mutex_);
    if (std::find(all_.begin(), all_.end(), completions) != all_.end()) return;
    all_.push_back(std::move(completions));
  }
  // It has to wait for this channel, too.
  eventfd_write(wake_, 1);
}

void StallGuard::Remove(const Completions* completions) {
  {
    std::lock_guard lock(mutex_);
    std::erase_if(all_, [completions](const auto& one) { return one.get() == completions; });
  }
  eventfd_write(wake_, 1);
}

std::vector<std::shared_ptr<Completions>> StallGuard::All() {
  std::lock_guard lock(mutex_);
  return all_;
}

void StallGuard::Wake(State from, State or_from) {
  int state = state_.load();
  while (state == from || state == or_from) {
    if (!state_.compare_exchange_weak(state, kAwake)) continue;
    eventfd_write(wake_, 1);
    return;
  }
}

void StallGuard::Run() {
  pthread_setname_np(pthread_self(), "smcr-guard");
  while (!stop_.load()) {
    Sleep();
    if (stop_.load()) return;
    const uint64_t turn = turns_.load();
    const uint64_t idle = options_.idle();
    Watch();
    if (!stop_.load() && turns_.load() == turn && options_.idle() == idle) Guard(turn, idle);
  }
}

void StallGuard::Sleep() {
  state_.store(kAsleep);
  // A loop that waits has armed its queues and found them empty: what completes from now on makes a channel readable. Either it
  // takes the event and says so (pairs with Taken), or it does not, and we see it. Seen waiting after the state was stored, it
  // cannot have taken one before.
  const uint64_t idle = options_.idle();
  if (options_.idle() > idle) Wait();
  state_.store(kAwake);
}

void StallGuard::Guard(uint64_t turn, uint64_t idle) {
  counters_.stalls.fetch_add(1);
  state_.store(kGuarding);
  // Pairs with Turned.
  while (!stop_.load() && turns_.load() == turn && options_.idle() == idle) {
    Serve();
    if (state_.load() != kGuarding) break;
    Wait();
  }
  state_.store(kAwake);
}

void StallGuard::Serve() {
  size_t kept = 0;
  for (const auto& completions : All()) {
    const Completions::Served served = completions->Serve();
    kept += served.kept;
    counters_.answered.fetch_add(served.answered);
  }
  counters_.kept.fetch_add(kept);
  if (kept > 0) options_.tell();
}

void StallGuard::Wait() {
  std::vector<pollfd> descriptors = {{wake_, POLLIN, 0}};
  for (const auto& completions : All()) {
    const int fd = completions->channel();
    if (fd >= 0) descriptors.push_back({fd, POLLIN, 0});
  }
  while (poll(descriptors.data(), descriptors.size(), -1) < 0 && errno == EINTR) {
  }
  eventfd_t ignored;
  eventfd_read(wake_, &ignored);
}

void StallGuard::Watch() {
  const auto end = Clock::now() + std::chrono::milliseconds(options_.patience);
  for (auto now = Clock::now(); now < end && !stop_.load(); now = Clock::now()) {
    // Rounded up, or the last millisecond would be spun away.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - now);
    pollfd descriptor = {wake_, POLLIN, 0};
    if (poll(&descriptor, 1, static_cast<int>(left.count())) <= 0) continue;
    eventfd_t ignored;
    eventfd_read(wake_, &ignored);
  }
}

}  // namespace smcr

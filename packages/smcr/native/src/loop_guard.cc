// loop_guard.cc - the stall guard of an environment: its thread, and what ties it to the loop. Made for the first guarded pair,
// there until the environment ends. None of its handles keeps the loop alive.

#include <errno.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "context.h"
#include "stall_guard.h"

namespace smcr {

class LoopGuard final : public Ending {
 public:
  /// nullptr with `error` set.
  static LoopGuard* Make(Environment* environment, int* error) {
    auto* self = new LoopGuard(environment);
    uv_loop_t* loop = environment->loop();
    // Node does this for its own loops; how long a loop has waited is not counted otherwise.
    uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
    *error = -uv_async_init(loop, &self->async_, [](uv_async_t* handle) { static_cast<LoopGuard*>(handle->data)->Tell(); });
    if (*error != 0) {
      delete self;
      return nullptr;
    }
    uv_check_init(loop, &self->check_);
    self->async_.data = self->check_.data = self;
    uv_check_start(&self->check_, [](uv_check_t* handle) { static_cast<LoopGuard*>(handle->data)->guard_.Turned(); });
    uv_unref(reinterpret_cast<uv_handle_t*>(&self->async_));
    uv_unref(reinterpret_cast<uv_handle_t*>(&self->check_));
    environment->Add(self);
    *error = self->guard_.Start();
    if (*error == 0) return self;
    self->End();
    return nullptr;
  }

  StallGuard& guard() { return guard_; }

  void Add(const std::shared_ptr<Queue>& queue) {
    if (std::find(queues_.begin(), queues_.end(), queue) == queues_.end()) queues_.push_back(queue);
    guard_.Add(queue->completions);
  }

  void Remove(const std::shared_ptr<Queue>& queue) {
    std::erase(queues_, queue);
    guard_.Remove(queue->completions.get());
  }

  void End() override {
    if (ending_) return;
    ending_ = true;
    guard_.Stop();
    environment_->GuardEnds();
    for (uv_handle_t* handle : {reinterpret_cast<uv_handle_t*>(&async_), reinterpret_cast<uv_handle_t*>(&check_)}) {
      uv_close(handle, [](uv_handle_t* closed) {
        auto* self = static_cast<LoopGuard*>(closed->data);
        if (--self->open_ > 0) return;
        Environment* environment = self->environment_;
        environment->Removed(self);
        delete self;
      });
    }
  }

 private:
  explicit LoopGuard(Environment* environment)
      : environment_(environment),
        guard_({.idle = [loop = environment->loop()] { return uv_metrics_idle_time(loop); }, .tell = [this] { uv_async_send(&async_); }}) {}

  /// What the guard kept has no event of its own.
  void Tell() {
    const std::vector<std::shared_ptr<Queue>> queues = queues_;
    for (const auto& queue : queues) {
      if (queue->gone || !queue->completions->waiting()) continue;
      Napi::HandleScope scope(environment_->env());
      environment_->Call(queue->on_event, {});
    }
  }

  Environment* environment_;
  uv_async_t async_ = {};
  uv_check_t check_ = {};
  int open_ = 2;
  bool ending_ = false;
  StallGuard guard_;
  std::vector<std::shared_ptr<Queue>> queues_;
};

int Environment::Guard(const std::shared_ptr<Queue>& queue) {
  if (exiting()) return EBADF;
  int error = 0;
  if (guard_ == nullptr) guard_ = LoopGuard::Make(this, &error);
  if (guard_ != nullptr) guard_->Add(queue);
  return error;
}

void Environment::Unguard(const std::shared_ptr<Queue>& queue) {
  if (guard_ != nullptr) guard_->Remove(queue);
}

void Environment::EventTaken() {
  if (guard_ != nullptr) guard_->guard().Taken();
}

void InitGuard(Napi::Env env, Napi::Object exports) {
  // guardCounters() -> [stalls, answered, kept] of this environment's guard.
  exports["guardCounters"] = Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
    Napi::Array result = Napi::Array::New(info.Env());
    LoopGuard* guard = Environment::Get(info.Env())->guard();
    const StallGuard::Counters none;
    const auto& counters = guard == nullptr ? none : guard->guard().counters();
    uint32_t i = 0;
    for (const auto* counter : {&counters.stalls, &counters.answered, &counters.kept}) {
      result[i++] = Napi::Number::New(info.Env(), static_cast<double>(counter->load()));
    }
    return result;
  });
}

}  // namespace smcr

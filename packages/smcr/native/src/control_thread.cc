// control_thread.cc - see control_thread.h.

#include "control_thread.h"

#include <pthread.h>
#include <signal.h>

#include <cstring>
#include <utility>

namespace smcr {

int ControlThread::Start(uv_loop_t* loop) {
  // Signals of the process are for the threads that expect them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = uv_thread_create(&thread_, [](void* self) { static_cast<ControlThread*>(self)->Run(); }, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (rc < 0) return rc;
  rc = uv_async_init(loop, &async_, [](uv_async_t* handle) { static_cast<ControlThread*>(handle->data)->TakeDone(); });
  if (rc < 0) {
    Stop();
    return rc;
  }
  async_.data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(&async_));
  return 0;
}

void ControlThread::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    news_.notify_one();
  }
  uv_thread_join(&thread_);
}

void ControlThread::Submit(Work work, Done done) {
  if (pending_++ == 0) uv_ref(reinterpret_cast<uv_handle_t*>(&async_));
  std::lock_guard lock(mutex_);
  submitted_.push_back({std::move(work), std::move(done)});
  news_.notify_one();
}

void ControlThread::Finish(std::function<void()> ended) {
  finishing_ = true;
  ended_ = std::move(ended);
  // The end is TakeDone's, for we may be called from a job's `done`. A loop that only has handles that do not keep it alive
  // would not look at them at all.
  uv_ref(reinterpret_cast<uv_handle_t*>(&async_));
  uv_async_send(&async_);
}

void ControlThread::Run() {
  pthread_setname_np(pthread_self(), "smcr-control");
  std::unique_lock lock(mutex_);
  for (;;) {
    news_.wait(lock, [this] { return stop_ || !submitted_.empty(); });
    if (submitted_.empty()) return;
    Job job = std::move(submitted_.front());
    submitted_.pop_front();
    lock.unlock();
    job.error = job.work();
    lock.lock();
    done_.push_back(std::move(job));
    uv_async_send(&async_);
  }
}

void ControlThread::TakeDone() {
  for (;;) {
    Job job;
    {
      std::lock_guard lock(mutex_);
      if (done_.empty()) break;
      job = std::move(done_.front());
      done_.pop_front();
    }
    if (--pending_ == 0 && !finishing_) uv_unref(reinterpret_cast<uv_handle_t*>(&async_));
    job.done(job.error);
  }
  auto* handle = reinterpret_cast<uv_handle_t*>(&async_);
  if (!finishing_ || pending_ > 0 || uv_is_closing(handle)) return;
  Stop();
  uv_close(handle, [](uv_handle_t* closed) {
    auto ended = std::move(static_cast<ControlThread*>(closed->data)->ended_);
    ended();
  });
}

}  // namespace smcr

// control_thread.h - the thread on which the control verbs of one device context run, since they may block in the kernel
// (modify_qp to RTR up to a second). One thread, first come first served: the order of calls is the order of effects.
#pragma once

#include <uv.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace smcr {

class ControlThread {
 public:
  /// Runs on the thread; 0 or an errno. May touch verbs, never JavaScript nor what belongs to the loop.
  using Work = std::function<int()>;
  /// Runs on the loop, in the order of submission.
  using Done = std::function<void(int error)>;

  /// 0 or -errno. On failure the object may be deleted at once.
  int Start(uv_loop_t* loop);

  /// While something is under way the loop is kept alive, as by any request of Node's.
  void Submit(Work work, Done done);

  /// Ends the thread after all that was submitted; `ended` is called on the loop, last of all, and may delete this.
  void Finish(std::function<void()> ended);

 private:
  struct Job {
    Work work;
    Done done;
    int error = 0;
  };

  void Run();
  void TakeDone();

  void Stop();

  uv_thread_t thread_ = {};
  uv_async_t async_ = {};
  size_t pending_ = 0;
  bool finishing_ = false;
  std::function<void()> ended_;

  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<Job> submitted_;  // guarded by mutex_
  std::deque<Job> done_;       // guarded by mutex_
  bool stop_ = false;          // guarded by mutex_
};

}  // namespace smcr

// watch.h - a descriptor of the library whose readability is told on the loop. Does not keep the loop alive.
#pragma once

#include <uv.h>

#include <functional>
#include <utility>

namespace smcr {

class Watch {
 public:
  /// nullptr when libuv refuses. The descriptor stays its owner's, who calls Stop before closing it. libuv makes it non-blocking.
  static Watch* Start(uv_loop_t* loop, int fd, std::function<void()> readable) {
    auto* self = new Watch(std::move(readable));
    if (uv_poll_init(loop, &self->poll_, fd) < 0) {
      delete self;
      return nullptr;
    }
    self->poll_.data = self;
    uv_unref(reinterpret_cast<uv_handle_t*>(&self->poll_));
    uv_poll_start(&self->poll_, UV_READABLE, [](uv_poll_t* handle, int, int) { static_cast<Watch*>(handle->data)->readable_(); });
    return self;
  }

  /// Not called back from now on, and the descriptor may be closed; `closed` follows from the loop, then this is gone.
  void Stop(std::function<void()> closed) {
    closed_ = std::move(closed);
    uv_poll_stop(&poll_);
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
      auto* self = static_cast<Watch*>(handle->data);
      auto after = std::move(self->closed_);
      delete self;
      after();
    });
  }

 private:
  explicit Watch(std::function<void()> readable) : readable_(std::move(readable)) {}

  uv_poll_t poll_ = {};
  std::function<void()> readable_;
  std::function<void()> closed_;
};

}  // namespace smcr

// control.cc - Unix sockets between two event loops: one listener per loop, one connection per link group. A message is
// one datagram of a SOCK_SEQPACKET socket, with descriptors; one zero byte is a doorbell. Every call is non-blocking by
// its own flag, since the peer shares the file and could change its mode.

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "environment.h"

namespace smcd {
namespace {

constexpr size_t kMaxMessage = 1024;
constexpr size_t kMaxDescriptors = 4;
/// Messages taken per turn of the loop, so that a flood cannot keep the loop from its other work.
constexpr int kMessagesPerTurn = 32;

/// The address of a name in a directory, by descriptor: short whatever the directory's path is.
bool NameAddress(int directory, const std::string& name, sockaddr_un* out) {
  memset(out, 0, sizeof *out);
  out->sun_family = AF_UNIX;
  const int length = snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/%s", directory, name.c_str());
  return length > 0 && static_cast<size_t>(length) < sizeof out->sun_path;
}

/// A watched Unix socket: a listener or a connection.
class Control final : public Napi::ObjectWrap<Control>, public Handle {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Control",
                       {InstanceMethod<&Control::Send>("send"), InstanceMethod<&Control::Ring>("ring"),
                        InstanceMethod<&Control::Accept>("accept"), InstanceMethod<&Control::Credentials>("credentials"),
                        InstanceMethod<&Control::CloseMethod>("close")});
  }

  /// new Control(fd, listening, callback): takes over the descriptor. A listener calls back without arguments when a
  /// connection waits; a connection with (message, descriptors) and, once, with nothing when the peer is gone.
  explicit Control(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Control>(info) {
    environment_ = Environment::Get(info.Env());
    fd_ = info[0].As<Napi::Number>().Int32Value();
    listening_ = info[1].As<Napi::Boolean>().Value();
    callback_ = Napi::Persistent(info[2].As<Napi::Function>());
    const int rc = uv_poll_init(environment_->loop(), &poll_, fd_);
    if (rc < 0) {
      close(fd_);
      fd_ = -1;
      Napi::Error::New(info.Env(), uv_strerror(rc)).ThrowAsJavaScriptException();
      return;
    }
    poll_.data = this;
    environment_->Add(this);
    Ref();  // alive until closed: libuv holds our address
    uv_poll_start(&poll_, UV_READABLE, OnReadable);
    // What keeps the loop alive is the TCP connection of each socket, with its ref and unref.
    uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
  }

  void Close() override {
    if (fd_ < 0) return;
    uv_poll_stop(&poll_);
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
      auto* self = static_cast<Control*>(handle->data);
      {
        Napi::HandleScope scope(self->Env());
        self->Unref();
      }
      // Last: after the last handle's, the environment may end.
      self->environment_->Removed(self);
    });
    close(fd_);
    fd_ = -1;
  }

 private:
  static void OnReadable(uv_poll_t* handle, int status, int) {
    auto* self = static_cast<Control*>(handle->data);
    if (self->environment_->exiting()) {
      uv_poll_stop(&self->poll_);
      return;
    }
    Napi::HandleScope scope(self->Env());
    if (self->listening_) {
      self->environment_->Call(self->callback_, 0, nullptr);
      return;
    }
    if (status < 0) {
      self->Lost();
      return;
    }
    // After a doorbell nothing else is looked for: one system call per wake-up. More would make us readable again.
    for (int i = 0; i < kMessagesPerTurn && self->fd_ >= 0 && self->ReceiveOne(); i++) {
    }
  }

  /// The peer is gone: said once, then not watched any more.
  void Lost() {
    uv_poll_stop(&poll_);
    environment_->Call(callback_, 0, nullptr);
  }

  /// Takes one message; true when it was no doorbell and another may follow.
  bool ReceiveOne() {
    uint8_t bytes[kMaxMessage];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
    iovec vector = {bytes, sizeof bytes};
    msghdr message = {};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t length = recvmsg(fd_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) {
      if (errno != EAGAIN && errno != EINTR) Lost();
      return false;
    }
    if (length == 1 && bytes[0] == 0 && message.msg_controllen == 0) return false;
    Napi::Env env = Env();
    Napi::Array descriptors = Napi::Array::New(env);
    uint32_t count = 0;
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
      if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
      const size_t fds = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < fds; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
        descriptors[count++] = Napi::Number::New(env, fd);
      }
    }
    if (length == 0 && count == 0) {
      Lost();
      return false;
    }
    // A message that did not fit is passed on as empty: JavaScript treats it, like any other it cannot read, as a violation.
    const bool whole = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    Napi::Value buffer = Napi::Buffer<uint8_t>::Copy(env, bytes, whole ? static_cast<size_t>(length) : 0);
    const napi_value argv[] = {buffer, descriptors};
    environment_->Call(callback_, 2, argv);
    return true;
  }

  /// send(bytes, descriptors) -> 0 or -errno; -EAGAIN when the peer does not take its messages.
  Napi::Value Send(const Napi::CallbackInfo& info) {
    auto bytes = info[0].As<Napi::Uint8Array>();
    auto fds = info[1].As<Napi::Array>();
    iovec vector = {bytes.Data(), bytes.ByteLength()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)] = {};
    msghdr message = {};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    const uint32_t count = fds.Length();
    if (count > kMaxDescriptors) return Result(info.Env(), -EINVAL);
    if (count > 0) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
      cmsghdr* part = CMSG_FIRSTHDR(&message);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(sizeof(int) * count);
      for (uint32_t i = 0; i < count; i++) {
        const int fd = fds.Get(i).As<Napi::Number>().Int32Value();
        memcpy(CMSG_DATA(part) + i * sizeof(int), &fd, sizeof fd);
      }
    }
    const ssize_t sent = sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return Result(info.Env(), sent < 0 ? -errno : 0);
  }

  /// ring() : wakes the peer. Nothing to report: full means that it has been rung, gone is told by the callback.
  Napi::Value Ring(const Napi::CallbackInfo& info) {
    const uint8_t doorbell = 0;
    (void)!send(fd_, &doorbell, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    return info.Env().Undefined();
  }

  /// accept() -> descriptor or -errno
  Napi::Value Accept(const Napi::CallbackInfo& info) {
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return Result(info.Env(), fd < 0 ? -errno : fd);
  }

  /// credentials() -> [pid, uid, gid] of the peer, as the kernel noted them when it connected or listened.
  Napi::Value Credentials(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    ucred peer = {};
    socklen_t length = sizeof peer;
    if (getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return Result(env, -errno);
    Napi::Array result = Napi::Array::New(env, 3);
    result[0u] = Napi::Number::New(env, peer.pid);
    result[1u] = Napi::Number::New(env, peer.uid);
    result[2u] = Napi::Number::New(env, peer.gid);
    return result;
  }

  Napi::Value CloseMethod(const Napi::CallbackInfo& info) {
    Close();
    return info.Env().Undefined();
  }

  Environment* environment_ = nullptr;
  uv_poll_t poll_;
  int fd_ = -1;
  bool listening_ = false;
  Napi::FunctionReference callback_;
};

int UnixSocket() { return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

/// listenUnix(directory, name) -> descriptor
Napi::Value ListenUnix(const Napi::CallbackInfo& info) {
  sockaddr_un address;
  if (!NameAddress(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::String>(), &address)) return Result(info.Env(), -ENAMETOOLONG);
  const int fd = UnixSocket();
  if (fd < 0) return Result(info.Env(), -errno);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 || chmod(address.sun_path, 0600) < 0 || listen(fd, 1024) < 0) {
    const int error = errno;
    close(fd);
    return Result(info.Env(), -error);
  }
  return Result(info.Env(), fd);
}

/// connectUnix(directory, name) -> descriptor; at once or not at all (-EAGAIN: the listener's queue is full).
Napi::Value ConnectUnix(const Napi::CallbackInfo& info) {
  sockaddr_un address;
  if (!NameAddress(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::String>(), &address)) return Result(info.Env(), -ENAMETOOLONG);
  const int fd = UnixSocket();
  if (fd < 0) return Result(info.Env(), -errno);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    const int error = errno;
    close(fd);
    return Result(info.Env(), -error);
  }
  return Result(info.Env(), fd);
}

}  // namespace

void InitControl(Napi::Env env, Napi::Object exports) {
  exports["Control"] = Control::Define(env);
  exports["listenUnix"] = Napi::Function::New(env, ListenUnix);
  exports["connectUnix"] = Napi::Function::New(env, ConnectUnix);
}

}  // namespace smcd

// endpoints.cc - TCP endpoints: which four numbers a connection has, what tells two connections with the same four apart,
// and a descriptor whose source is bound in advance.
//
// A tuple is 36 bytes: server address 16, client address 16, server port 2, client port 2 (network order). IPv4 is
// written v4-mapped, so that a dual-stack server and an IPv4 client write the same bytes.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "environment.h"

namespace smcd {
namespace {

constexpr size_t kTupleBytes = 36;

/// Closes a descriptor at the end of its scope unless it was released.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;

  socklen_t length() const { return any.sa_family == AF_INET ? sizeof v4 : sizeof v6; }
  in_port_t port() const { return any.sa_family == AF_INET ? v4.sin_port : v6.sin6_port; }
  void set_port(in_port_t port) {
    if (any.sa_family == AF_INET) v4.sin_port = port;
    else v6.sin6_port = port;
  }
};

bool Parse(const std::string& text, uint16_t port, Address* out) {
  memset(out, 0, sizeof *out);
  if (inet_pton(AF_INET, text.c_str(), &out->v4.sin_addr) == 1) {
    out->any.sa_family = AF_INET;
  } else if (inet_pton(AF_INET6, text.c_str(), &out->v6.sin6_addr) == 1) {
    out->any.sa_family = AF_INET6;
  } else {
    return false;
  }
  out->set_port(htons(port));
  return true;
}

void PutAddress(const Address& address, uint8_t* out) {
  if (address.any.sa_family == AF_INET) {
    memset(out, 0, 10);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, &address.v4.sin_addr, 4);
  } else {
    memcpy(out, &address.v6.sin6_addr, 16);
  }
}

void PutTuple(const Address& server, const Address& client, uint8_t* out) {
  PutAddress(server, out);
  PutAddress(client, out + 16);
  const in_port_t ports[] = {server.port(), client.port()};
  memcpy(out + 32, ports, 4);
}

/// acceptedTuple(fd, out) -> 0: the tuple of an accepted TCP connection.
Napi::Value AcceptedTuple(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  auto out = info[1].As<Napi::Uint8Array>();
  Address local;
  Address remote;
  socklen_t length = sizeof local;
  if (out.ByteLength() < kTupleBytes) return Result(info.Env(), -EINVAL);
  if (getsockname(fd, &local.any, &length) < 0) return Result(info.Env(), -errno);
  length = sizeof remote;
  if (getpeername(fd, &remote.any, &length) < 0) return Result(info.Env(), -errno);
  if (local.any.sa_family != AF_INET && local.any.sa_family != AF_INET6) return Result(info.Env(), -EAFNOSUPPORT);
  PutTuple(local, remote, out.Data());
  return Result(info.Env(), 0);
}

/// The source address the kernel would choose: a datagram socket is routed without sending anything.
int RouteSource(const Address& to, Address* source) {
  Descriptor probe(socket(to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (probe.get() < 0 || connect(probe.get(), &to.any, to.length()) < 0) return -errno;
  socklen_t length = sizeof *source;
  if (getsockname(probe.get(), &source->any, &length) < 0) return -errno;
  source->set_port(0);
  return 0;
}

/// Only addresses of this host can be bound.
int CheckLocal(const Address& to) {
  Address copy = to;
  copy.set_port(0);
  Descriptor probe(socket(to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (probe.get() < 0 || bind(probe.get(), &copy.any, copy.length()) < 0) return -errno;
  return 0;
}

/// 127.0.0.1 and ::1 are of this host and reached from themselves: three system calls less for most connections.
bool IsLoopbackItself(const Address& to) {
  if (to.any.sa_family == AF_INET) return to.v4.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
  return memcmp(&to.v6.sin6_addr, &in6addr_loopback, sizeof in6addr_loopback) == 0;
}

/// bindSource(address, port, out) -> a non-blocking TCP descriptor bound to the source it would have had, the tuple of
/// the connection to come in `out`; -EADDRNOTAVAIL when the address is not of this host.
Napi::Value BindSource(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Address to;
  Address source;
  auto out = info[2].As<Napi::Uint8Array>();
  if (out.ByteLength() < kTupleBytes) return Result(env, -EINVAL);
  if (!Parse(info[0].As<Napi::String>().Utf8Value(), static_cast<uint16_t>(info[1].As<Napi::Number>().Uint32Value()), &to)) {
    return Result(env, -EINVAL);
  }
  if (IsLoopbackItself(to)) {
    source = to;
    source.set_port(0);
  } else {
    int error = CheckLocal(to);
    if (error == 0) error = RouteSource(to, &source);
    if (error < 0) return Result(env, error);
  }
  Descriptor tcp(socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (tcp.get() < 0 || bind(tcp.get(), &source.any, source.length()) < 0) return Result(env, -errno);
  socklen_t length = sizeof source;
  if (getsockname(tcp.get(), &source.any, &length) < 0) return Result(env, -errno);
  PutTuple(to, source, out.Data());
  return Result(env, tcp.Release());
}

/// saveSyn(fd) -> 0: the kernel keeps the SYN of every connection this listener accepts, until it is asked for or closed.
Napi::Value SaveSyn(const Napi::CallbackInfo& info) {
  const int on = 1;
  const int rc = setsockopt(info[0].As<Napi::Number>().Int32Value(), IPPROTO_TCP, TCP_SAVE_SYN, &on, sizeof on);
  return Result(info.Env(), rc < 0 ? -errno : 0);
}

/// TSval of the timestamps option (RFC 7323) in a SYN with its IP header; -ENODATA when there is none.
int64_t SynTimestamp(const uint8_t* syn, size_t length) {
  constexpr size_t kHeader = 20;
  if (length < kHeader) return -ENODATA;
  const size_t tcp = (syn[0] >> 4) == 6 ? 40 : (syn[0] & 15u) * 4u;
  if (length < tcp + kHeader) return -ENODATA;
  const size_t end = tcp + (syn[tcp + 12] >> 4) * 4u;
  if (end > length) return -ENODATA;
  for (size_t at = tcp + kHeader; at < end && syn[at] != TCPOPT_EOL;) {
    if (syn[at] == TCPOPT_NOP) {
      at++;
      continue;
    }
    if (at + 1 >= end || syn[at + 1] < 2 || at + syn[at + 1] > end) break;
    if (syn[at] == TCPOPT_TIMESTAMP && syn[at + 1] == TCPOLEN_TIMESTAMP) {
      uint32_t value;
      memcpy(&value, syn + at + 2, sizeof value);
      return ntohl(value);
    }
    at += syn[at + 1];
  }
  return -ENODATA;
}

/// acceptedTimestamp(fd) -> TSval of the SYN of an accepted connection, of which no translation of addresses changes
/// anything; -ENODATA when it was not kept or has none. Once: then the kernel forgets the SYN.
Napi::Value AcceptedTimestamp(const Napi::CallbackInfo& info) {
  uint8_t syn[256];
  socklen_t length = sizeof syn;
  if (getsockopt(info[0].As<Napi::Number>().Int32Value(), IPPROTO_TCP, TCP_SAVED_SYN, syn, &length) < 0) return Result(info.Env(), -errno);
  return Result(info.Env(), SynTimestamp(syn, length));
}

/// timestamp(fd) -> what a segment sent now by this TCP socket would have as TSval: the kernel's clock and an offset that is
/// random for each pair of addresses.
Napi::Value Timestamp(const Napi::CallbackInfo& info) {
  uint32_t value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(info[0].As<Napi::Number>().Int32Value(), IPPROTO_TCP, TCP_TIMESTAMP, &value, &length) < 0) return Result(info.Env(), -errno);
  return Result(info.Env(), value);
}

}  // namespace

void InitEndpoints(Napi::Env env, Napi::Object exports) {
  exports["acceptedTuple"] = Napi::Function::New(env, AcceptedTuple);
  exports["bindSource"] = Napi::Function::New(env, BindSource);
  exports["saveSyn"] = Napi::Function::New(env, SaveSyn);
  exports["acceptedTimestamp"] = Napi::Function::New(env, AcceptedTimestamp);
  exports["timestamp"] = Napi::Function::New(env, Timestamp);
}

}  // namespace smcd

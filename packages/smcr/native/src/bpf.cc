// bpf.cc - system calls for the TCP option of SMC: bpf(2), a file system to pin in, a TCP socket that is not connected yet.
// What the commands mean is in src/tcp-option/bpf.ts.

#include <errno.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "environment.h"

namespace smcr {
namespace {

/// Bytes of union bpf_attr that are used; the kernel takes shorter ones than its own.
constexpr size_t kMaxAttributes = 144;

bool Bytes(Napi::Value value, uint8_t** bytes, size_t* length) {
  if (!value.IsTypedArray()) return false;
  auto array = value.As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_uint8_array) return false;
  *bytes = array.As<Napi::Uint8Array>().Data();
  *length = array.ByteLength();
  return true;
}

/// bpf(command, attributes, ...pointers) -> what the kernel returns, or -errno. `pointers` are pairs of an offset in the
/// attributes and a Uint8Array whose address belongs there; the caller answers for lengths, which stand in the attributes.
Napi::Value Bpf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  alignas(8) uint8_t attributes[kMaxAttributes] = {};
  uint8_t* given = nullptr;
  size_t length = 0;
  if (info.Length() < 2 || !info[0].IsNumber() || !Bytes(info[1], &given, &length) || length > sizeof attributes) {
    return Napi::Number::New(env, -EINVAL);
  }
  memcpy(attributes, given, length);
  for (size_t i = 2; i + 1 < info.Length(); i += 2) {
    uint8_t* bytes = nullptr;
    size_t ignored = 0;
    const uint32_t offset = info[i].IsNumber() ? info[i].As<Napi::Number>().Uint32Value() : UINT32_MAX;
    if (offset % 8 != 0 || offset >= length || length - offset < 8 || !Bytes(info[i + 1], &bytes, &ignored)) {
      return Napi::Number::New(env, -EINVAL);
    }
    const uint64_t address = reinterpret_cast<uintptr_t>(bytes);
    memcpy(attributes + offset, &address, sizeof address);
  }
  const long rc = syscall(SYS_bpf, info[0].As<Napi::Number>().Int32Value(), attributes, length);
  return Napi::Number::New(env, rc < 0 ? -errno : static_cast<double>(rc));
}

/// mountBpf(directory) -> 0 or -errno. A file system of its own: root's, open for everyone to look into.
Napi::Value MountBpf(const Napi::CallbackInfo& info) {
  const std::string directory = info[0].ToString().Utf8Value();
  const int rc = mount("bpf", directory.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755");
  return Napi::Number::New(info.Env(), rc < 0 ? -errno : 0);
}

/// unmount(directory) -> 0 or -errno.
Napi::Value Unmount(const Napi::CallbackInfo& info) {
  const std::string directory = info[0].ToString().Utf8Value();
  return Napi::Number::New(info.Env(), umount2(directory.c_str(), UMOUNT_NOFOLLOW) < 0 ? -errno : 0);
}

/// tcpSocket(family 4 or 6) -> a descriptor, closed on exec, or -errno.
Napi::Value TcpSocket(const Napi::CallbackInfo& info) {
  const int family = info[0].ToNumber().Int32Value() == 6 ? AF_INET6 : AF_INET;
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  return Napi::Number::New(info.Env(), fd < 0 ? -errno : fd);
}

/// listening(fd) -> 1, 0, or -errno.
Napi::Value Listening(const Napi::CallbackInfo& info) {
  int value = 0;
  socklen_t length = sizeof value;
  const int rc = getsockopt(info[0].ToNumber().Int32Value(), SOL_SOCKET, SO_ACCEPTCONN, &value, &length);
  return Napi::Number::New(info.Env(), rc < 0 ? -errno : value);
}

}  // namespace

void InitBpf(Napi::Env env, Napi::Object exports) {
  exports["bpf"] = Napi::Function::New<Bpf>(env);
  exports["mountBpf"] = Napi::Function::New<MountBpf>(env);
  exports["unmount"] = Napi::Function::New<Unmount>(env);
  exports["tcpSocket"] = Napi::Function::New<TcpSocket>(env);
  exports["listening"] = Napi::Function::New<Listening>(env);
}

}  // namespace smcr

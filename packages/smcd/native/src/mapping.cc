// mapping.cc - memory shared with another process: sealed memfd segments, mapped, and mapped twice in a row.

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "environment.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

namespace smcd {
namespace {

// Without SHRINK a peer could truncate the segment and make our next access a SIGBUS.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

void Finalize(napi_env, void*, void* hint) {
  std::unique_ptr<std::shared_ptr<Mapping>> mapping(static_cast<std::shared_ptr<Mapping>*>(hint));
  (*mapping)->finalized = true;
  if ((*mapping)->pins == 0) (*mapping)->Unmap();
}

/// The ArrayBuffer over a mapping, or -errno where external buffers are not allowed (sandboxed V8).
Napi::Value Wrap(Napi::Env env, void* address, size_t length) {
  const auto& all = Environment::Get(env)->mappings();
  auto mapping = std::make_shared<Mapping>(Mapping{all, address, length, true, 0});
  auto* hint = new std::shared_ptr<Mapping>(mapping);
  napi_value buffer;
  napi_status status = napi_create_external_arraybuffer(env, address, length, Finalize, hint, &buffer);
  if (status != napi_ok) {
    mapping->Unmap();
    delete hint;
    return Result(env, -ENOTSUP);
  }
  (*all)[address] = mapping;
  return Napi::Value(env, buffer);
}

/// createSegment(bytes) -> descriptor of a sealed, zero-filled memfd.
Napi::Value CreateSegment(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto bytes = static_cast<off_t>(info[0].As<Napi::Number>().Int64Value());
  int fd = static_cast<int>(syscall(SYS_memfd_create, "smc", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
  if (fd < 0 && errno == EINVAL) fd = static_cast<int>(syscall(SYS_memfd_create, "smc", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd < 0) return Result(env, -errno);
  if (ftruncate(fd, bytes) < 0 || fcntl(fd, F_ADD_SEALS, kSeals) < 0) {
    const int error = errno;
    close(fd);
    return Result(env, -error);
  }
  return Result(env, fd);
}

/// checkSegment(fd, bytes) -> 0 when a received descriptor is shmem of exactly this size with exactly our seals.
Napi::Value CheckSegment(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const auto bytes = static_cast<off_t>(info[1].As<Napi::Number>().Int64Value());
  struct stat file;
  struct statfs system;
  if (fstat(fd, &file) < 0 || fstatfs(fd, &system) < 0) return Result(env, -errno);
  if (!S_ISREG(file.st_mode) || static_cast<uint64_t>(system.f_type) != TMPFS_MAGIC) return Result(env, -EBADF);
  if (file.st_size != bytes) return Result(env, -EMSGSIZE);
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & ~F_SEAL_EXEC) != kSeals) return Result(env, -EPERM);
  return Result(env, 0);
}

/// mapSegment(fd, bytes) -> ArrayBuffer over the whole segment. The descriptor is not needed afterwards.
Napi::Value MapSegment(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const auto bytes = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) return Result(info.Env(), -errno);
  return Wrap(info.Env(), address, bytes);
}

/// mirror(segment, offset, length) -> ArrayBuffer of 2 * length bytes: that part of the segment twice in a row.
Napi::Value Mirror(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto segment = info[0].As<Napi::ArrayBuffer>();
  const auto offset = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  const auto length = static_cast<size_t>(info[2].As<Napi::Number>().Int64Value());
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t total = segment.ByteLength();
  if (length == 0 || length % page != 0 || offset % page != 0 || offset > total || length > total - offset) return Result(env, -EINVAL);
  auto* source = static_cast<uint8_t*>(segment.Data()) + offset;
  auto* base = static_cast<uint8_t*>(mmap(nullptr, 2 * length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (base == MAP_FAILED) return Result(env, -errno);
  for (size_t copy = 0; copy < 2; copy++) {
    // An old size of 0 makes a second mapping of the same shared pages: no descriptor has to stay open for this.
    if (mremap(source, 0, length, MREMAP_MAYMOVE | MREMAP_FIXED, base + copy * length) == MAP_FAILED) {
      const int error = errno;
      munmap(base, 2 * length);
      return Result(env, -error);
    }
  }
  return Wrap(env, base, 2 * length);
}

/// unmap(buffer) -> 0. Views of the buffer have length 0 from now on: detached first, since a view over memory that is
/// gone would be a segmentation fault. -EBUSY while the hub reads it.
Napi::Value Unmap(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto buffer = info[0].As<Napi::ArrayBuffer>();
  Mappings& all = *Environment::Get(env)->mappings();
  auto found = all.find(buffer.Data());
  if (buffer.IsDetached() || found == all.end()) return Result(env, -EINVAL);
  std::shared_ptr<Mapping> mapping = found->second;
  if (mapping->pins > 0) return Result(env, -EBUSY);
  buffer.Detach();
  mapping->Unmap();
  return Result(env, 0);
}

/// keepDescriptor(fd) -> another descriptor of the same file, closed at the latest with the environment, or -errno.
Napi::Value KeepDescriptor(const Napi::CallbackInfo& info) {
  const int fd = fcntl(info[0].As<Napi::Number>().Int32Value(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return Result(info.Env(), -errno);
  Environment::Get(info.Env())->Own(fd);
  return Result(info.Env(), fd);
}

/// closeDescriptor(fd)
Napi::Value CloseDescriptor(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  Environment::Get(info.Env())->Disown(fd);
  const int rc = close(fd);
  return Result(info.Env(), rc < 0 ? -errno : 0);
}

}  // namespace

void Mapping::Unmap() {
  if (!mapped) return;
  mapped = false;
  // Ours if it is there: the address is in use until the next line.
  all->erase(address);
  munmap(address, length);
}

void Mapping::Unpin() {
  if (--pins == 0 && finalized) Unmap();
}

void InitMapping(Napi::Env env, Napi::Object exports) {
  exports["createSegment"] = Napi::Function::New(env, CreateSegment);
  exports["checkSegment"] = Napi::Function::New(env, CheckSegment);
  exports["mapSegment"] = Napi::Function::New(env, MapSegment);
  exports["mirror"] = Napi::Function::New(env, Mirror);
  exports["unmap"] = Napi::Function::New(env, Unmap);
  exports["keepDescriptor"] = Napi::Function::New(env, KeepDescriptor);
  exports["closeDescriptor"] = Napi::Function::New(env, CloseDescriptor);
}

}  // namespace smcd

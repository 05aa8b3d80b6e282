// registry.cc - names in the runtime directory: hard links of a loop's listener, and markers that are locked bytes.
//
// All names are resolved from a directory descriptor that was checked once, so the directory cannot be exchanged and
// no path can be truncated.

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "environment.h"

namespace smcd {
namespace {

int Int(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }
std::string Text(const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); }

/// A descriptor that lives until closeDescriptor or the end of the environment; or -errno.
Napi::Value Owned(Napi::Env env, int fd) {
  if (fd < 0) return Result(env, -errno);
  Environment::Get(env)->Own(fd);
  return Result(env, fd);
}

/// openDirectory(path) -> descriptor, not following a symbolic link at the end.
Napi::Value OpenDirectory(const Napi::CallbackInfo& info) {
  const int fd = open(Text(info[0]).c_str(), O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_RDONLY);
  return Owned(info.Env(), fd);
}

/// link(directory, existing, name)
Napi::Value Link(const Napi::CallbackInfo& info) {
  const int directory = Int(info[0]);
  const int rc = linkat(directory, Text(info[1]).c_str(), directory, Text(info[2]).c_str(), 0);
  return Result(info.Env(), rc < 0 ? -errno : 0);
}

/// unlink(directory, name)
Napi::Value Unlink(const Napi::CallbackInfo& info) {
  const int rc = unlinkat(Int(info[0]), Text(info[1]).c_str(), 0);
  return Result(info.Env(), rc < 0 ? -errno : 0);
}

/// inode(directory, name) -> inode number of a socket of that name, or -errno. Other files are -EPERM. Who made it is known when it is dialled.
Napi::Value Inode(const Napi::CallbackInfo& info) {
  struct stat file;
  if (fstatat(Int(info[0]), Text(info[1]).c_str(), &file, AT_SYMLINK_NOFOLLOW) < 0) return Result(info.Env(), -errno);
  if (!S_ISSOCK(file.st_mode)) return Result(info.Env(), -EPERM);
  return Result(info.Env(), static_cast<int64_t>(file.st_ino));
}

struct flock Byte(short type, int64_t offset) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = offset;
  lock.l_len = 1;
  return lock;
}

/// openMarker(directory, name) -> descriptor of the port's marker file, made if need be.
Napi::Value OpenMarker(const Napi::CallbackInfo& info) {
  const int fd = openat(Int(info[0]), Text(info[1]).c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  return Owned(info.Env(), fd);
}

/// lockMarker(fd, offset): a shared lock on one byte, held as long as the descriptor is open: what kill -9 leaves
/// behind is not locked, so it says nothing.
Napi::Value LockMarker(const Napi::CallbackInfo& info) {
  struct flock lock = Byte(F_RDLCK, info[1].As<Napi::Number>().Int64Value());
  const int rc = fcntl(Int(info[0]), F_OFD_SETLK, &lock);
  return Result(info.Env(), rc < 0 ? -errno : 0);
}

/// sameFile(fd, directory, name) -> 1 when the name still means the open file (nobody removed it in between).
Napi::Value SameFile(const Napi::CallbackInfo& info) {
  struct stat open_file;
  struct stat named;
  if (fstat(Int(info[0]), &open_file) < 0) return Result(info.Env(), -errno);
  if (fstatat(Int(info[1]), Text(info[2]).c_str(), &named, AT_SYMLINK_NOFOLLOW) < 0) return Result(info.Env(), errno == ENOENT ? 0 : -errno);
  return Result(info.Env(), open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev ? 1 : 0);
}

/// claimMarker(directory, name) -> descriptor of a marker no byte of which is locked, held exclusively: nobody can take it
/// while its names are removed. -EAGAIN when its owner lives.
Napi::Value ClaimMarker(const Napi::CallbackInfo& info) {
  const int fd = openat(Int(info[0]), Text(info[1]).c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return Result(info.Env(), -errno);
  struct flock lock = Byte(F_WRLCK, 0);
  lock.l_len = 0;  // to the end, however far
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return Result(info.Env(), fd);
  const int error = errno;
  close(fd);
  return Result(info.Env(), -error);
}

/// queryMarker(directory, name, offsets...) -> bit i set when byte offsets[i] is locked by anybody; -errno, -ENOENT when
/// nobody ever listened. The locks are only asked for, never taken. With offset -1: is any byte locked?
Napi::Value QueryMarker(const Napi::CallbackInfo& info) {
  const int fd = openat(Int(info[0]), Text(info[1]).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return Result(info.Env(), -errno);
  int64_t found = 0;
  for (size_t i = 2; i < info.Length(); i++) {
    const int64_t offset = info[i].As<Napi::Number>().Int64Value();
    struct flock lock = Byte(F_WRLCK, offset < 0 ? 0 : offset);
    if (offset < 0) lock.l_len = 0;  // to the end, however far
    if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) found |= int64_t{1} << (i - 2);
  }
  close(fd);
  return Result(info.Env(), found);
}

}  // namespace

void InitRegistry(Napi::Env env, Napi::Object exports) {
  exports["openDirectory"] = Napi::Function::New(env, OpenDirectory);
  exports["link"] = Napi::Function::New(env, Link);
  exports["unlink"] = Napi::Function::New(env, Unlink);
  exports["inode"] = Napi::Function::New(env, Inode);
  exports["openMarker"] = Napi::Function::New(env, OpenMarker);
  exports["lockMarker"] = Napi::Function::New(env, LockMarker);
  exports["sameFile"] = Napi::Function::New(env, SameFile);
  exports["claimMarker"] = Napi::Function::New(env, ClaimMarker);
  exports["queryMarker"] = Napi::Function::New(env, QueryMarker);
}

}  // namespace smcd

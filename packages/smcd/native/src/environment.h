// environment.h - everything native that belongs to one Node environment (main thread or worker). There is no other
// mutable state: two workers that load the addon have two of these.
#pragma once

#include <napi.h>
#include <uv.h>

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "copying.h"

namespace smcd {

struct Mapping;
using Mappings = std::unordered_map<void*, std::shared_ptr<Mapping>>;

/// One shared mapping and its ArrayBuffer. Unmapped once: by request, or when the ArrayBuffer is gone and nobody has it
/// pinned. Finalizers of ArrayBuffers run before cleanup hooks when an environment ends, so the hub still reads pages whose
/// buffers are gone: what it has pinned stays mapped until it lets go.
struct Mapping {
  /// Kept alive by every mapping: finalizers may run after the environment's own data is gone.
  std::shared_ptr<Mappings> all;
  void* address;
  size_t length;
  bool mapped;
  /// Native readers that hold the address (the hub).
  uint32_t pins;
  /// The ArrayBuffer is gone.
  bool finalized = false;

  void Unmap();
  void Unpin();
};

/// A libuv handle that closes when its environment ends, whatever JavaScript forgot. A worker whose loop still has an
/// open handle when it ends aborts the whole process.
class Handle {
 public:
  virtual ~Handle() = default;
  /// Starts closing; `closed` follows from the loop. Idempotent.
  virtual void Close() = 0;

 protected:
  friend class Environment;
  Handle* previous_ = nullptr;
  Handle* next_ = nullptr;
};

class Environment {
 public:
  explicit Environment(Napi::Env env);

  static Environment* Get(Napi::Env env) { return env.GetInstanceData<Environment>(); }

  uv_loop_t* loop() const { return loop_; }
  napi_env env() const { return env_; }

  /// JavaScript has had its last word ('exit'): the loop still turns while handles are closed, with us in it.
  bool exiting() const { return exiting_ || ending_; }
  void Exiting() { exiting_ = true; }

  void Add(Handle* handle);
  /// The last close callback of `handle` has run; it may be deleted.
  void Removed(Handle* handle);

  /// Calls into JavaScript from the loop, with microtasks and ticks run afterwards. An exception becomes an uncaught one.
  void Call(const Napi::FunctionReference& function, size_t argc, const napi_value* argv);

  const std::shared_ptr<Mappings>& mappings() const { return mappings_; }

  /// Descriptors JavaScript holds for as long as it runs: closed with the environment, since a worker that is terminated
  /// closes nothing itself, and locks on them say that it listens.
  void Own(int fd) { descriptors_.insert(fd); }
  void Disown(int fd) { descriptors_.erase(fd); }

  Copying copying;

 private:
  static void OnCleanup(napi_async_cleanup_hook_handle hook, void* data);
  void FinishCleanup();

  napi_env env_;
  uv_loop_t* loop_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  bool ending_ = false;
  Handle* handles_ = nullptr;
  Napi::ObjectReference resource_;
  napi_async_context context_ = nullptr;
  bool exiting_ = false;
  std::unordered_set<int> descriptors_;
  std::shared_ptr<Mappings> mappings_ = std::make_shared<Mappings>();
};

/// Results of system calls go to JavaScript as numbers: negative is -errno.
inline Napi::Value Result(Napi::Env env, int64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }

void InitMapping(Napi::Env env, Napi::Object exports);
void InitCopying(Napi::Env env, Napi::Object exports);
void InitControl(Napi::Env env, Napi::Object exports);
void InitHub(Napi::Env env, Napi::Object exports);
void InitRegistry(Napi::Env env, Napi::Object exports);
void InitEndpoints(Napi::Env env, Napi::Object exports);

}  // namespace smcd

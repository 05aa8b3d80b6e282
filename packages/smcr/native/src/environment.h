// environment.h - everything native that belongs to one Node environment (main thread or worker). There is no other
// mutable state: two workers that load the addon have two of these.
#pragma once

#include <napi.h>
#include <uv.h>

#include <functional>
#include <memory>
#include <string>

#include "library.h"

namespace smcr {

/// Something with libuv handles or threads, which ends before its environment does, whatever JavaScript forgot. A worker
/// whose loop still has an open handle when it ends aborts the whole process.
class Ending {
 public:
  virtual ~Ending() = default;
  /// Starts ending; Environment::Removed follows from the loop. Idempotent.
  virtual void End() = 0;

 protected:
  friend class Environment;
  Ending* previous_ = nullptr;
  Ending* next_ = nullptr;
};

class LoopGuard;
struct Queue;

class Environment {
 public:
  explicit Environment(Napi::Env env);

  static Environment* Get(Napi::Env env) { return env.GetInstanceData<Environment>(); }

  uv_loop_t* loop() const { return loop_; }
  Napi::Env env() const { return Napi::Env(env_); }
  /// Opened when first asked for; nullptr when it cannot be, see why().
  const Library* library();
  const std::string& why() const { return why_; }

  /// JavaScript has had its last word ('exit'): the loop still turns while handles are closed, with us in it.
  bool exiting() const { return exiting_ || ending_; }
  void Exiting() { exiting_ = true; }

  void Add(Ending* one);
  void Removed(Ending* one);

  /// Has the stall guard look after the queue's guarded pairs, until Unguard. 0 or an errno.
  int Guard(const std::shared_ptr<Queue>& queue);
  void Unguard(const std::shared_ptr<Queue>& queue);
  /// An event of a completion channel was taken: see StallGuard::Taken.
  void EventTaken();
  /// The guard, from the first guarded pair to the end.
  LoopGuard* guard() const { return guard_; }
  void GuardEnds() { guard_ = nullptr; }

  /// Runs `body` as Node runs a callback of its own: ticks and microtasks follow. Not at all when exiting.
  void Enter(const std::function<void(Napi::Env)>& body);
  /// Calls a function from the loop; an exception becomes an uncaught one.
  void Call(const Napi::FunctionReference& function, std::initializer_list<napi_value> args);

  // Constructors of objects that only come out of promises.
  Napi::FunctionReference protection_domain;
  Napi::FunctionReference memory_region;
  Napi::FunctionReference completion_queue;
  Napi::FunctionReference queue_pair;

 private:
  static void OnCleanup(napi_async_cleanup_hook_handle hook, void* data);
  void FinishCleanup();

  napi_env env_;
  uv_loop_t* loop_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  bool ending_ = false;
  bool exiting_ = false;
  Ending* all_ = nullptr;
  LoopGuard* guard_ = nullptr;
  Napi::ObjectReference resource_;
  napi_async_context context_ = nullptr;
  std::unique_ptr<const Library> library_;
  bool looked_ = false;
  std::string why_;
};

/// An error shaped like node's own: code, errno (negative), syscall.
Napi::Error SystemError(Napi::Env env, const char* syscall, int error);

/// A promise that is already rejected.
Napi::Value Rejected(Napi::Env env, const char* syscall, int error);

/// The words of a Uint32Array; false for anything else.
bool Words(Napi::Value value, uint32_t** words, size_t* length);

/// Those of a typed array of this type.
bool Elements(Napi::Value value, napi_typedarray_type wanted, void** data, size_t* length);

void InitBpf(Napi::Env env, Napi::Object exports);
void InitContext(Napi::Env env, Napi::Object exports);
void InitDomain(Napi::Env env);
void InitGuard(Napi::Env env, Napi::Object exports);
void InitMemory(Napi::Env env);
void InitCompletionQueue(Napi::Env env);
void InitQueuePair(Napi::Env env);

}  // namespace smcr

// context.h - an open device and all that was made from it. The structures below belong to the loop; jobs on the control
// thread get the library's pointers by value and nothing else. A pointer is given to a destroying job once, and from then
// on `gone` keeps the loop from using it.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>

#include "completions.h"
#include "control_thread.h"
#include "environment.h"
#include "library.h"
#include "watch.h"

namespace smcr {

/// Memory shared with the device: MAP_SHARED, anonymous, not inherited by fork. Unmapped when nobody has it any more: neither
/// the registration nor an ArrayBuffer, wherever JavaScript has moved that to.
struct Mapping {
  void* address = nullptr;
  size_t bytes = 0;
  /// Bytes that are registered: the first of them.
  size_t length = 0;
  /// Registrations beyond the first, perhaps with other devices. The loop's.
  size_t guests = 0;
  ~Mapping();
};

struct Domain {
  abi::ibv_pd* raw = nullptr;
  size_t users = 0;
  bool gone = false;
};

struct Region {
  abi::ibv_mr* raw = nullptr;
  std::shared_ptr<Mapping> mapping;
  /// Somebody else's memory, registered once more.
  bool guest = false;
  std::shared_ptr<Domain> domain;
  /// Weak. Detached when the memory is deregistered.
  Napi::Reference<Napi::ArrayBuffer> buffer;
  bool gone = false;
};

struct Queue {
  abi::ibv_cq* raw = nullptr;
  abi::ibv_comp_channel* channel = nullptr;
  Watch* watch = nullptr;
  Napi::FunctionReference on_event;
  /// What completed; shared with the stall guard.
  std::shared_ptr<Completions> completions;
  size_t users = 0;
  bool gone = false;
};

struct Pair {
  abi::ibv_qp* raw = nullptr;
  uint32_t number = 0;
  uint32_t max_inline = 0;
  std::shared_ptr<Domain> domain;
  std::shared_ptr<Queue> send;
  std::shared_ptr<Queue> receive;
  /// What the last successful change made of it; the device may have gone to an error state by itself since.
  std::atomic<int> state = abi::IBV_QPS_RESET;
  bool gone = false;
};

class Context final : public Napi::ObjectWrap<Context>, public Ending {
 public:
  static Napi::Function Define(Napi::Env env);

  /// new Context(name, onAsyncEvent(type, value)): nothing happens before open().
  explicit Context(const Napi::CallbackInfo& info);

  void End() override { Shutdown(); }

  const Library& library() const { return *library_; }
  abi::ibv_context* raw() const { return raw_; }
  Environment& environment() const { return *environment_; }
  /// No verb may be asked for any more.
  bool closing() const { return closing_ || raw_ == nullptr; }

  using Result = std::function<Napi::Value(Napi::Env)>;
  using Settled = std::function<void(int& error)>;

  /// Runs `work` on the control thread. `settled` is called on the loop in any case, also while the environment ends, and may
  /// find an error of its own; then the promise is resolved with `result` or rejected with the error.
  Napi::Value Verb(const char* syscall, ControlThread::Work work, Settled settled, Result result);

  // Each takes what it is given out of use at once, whether or not the verb then succeeds; what the library did not let go
  // of goes with the device.
  void Destroy(const std::shared_ptr<Pair>& pair, ControlThread::Done done);
  void Destroy(const std::shared_ptr<Region>& region, ControlThread::Done done);
  void Destroy(const std::shared_ptr<Queue>& queue, ControlThread::Done done);
  void Destroy(const std::shared_ptr<Domain>& domain, ControlThread::Done done);

  /// Destroy for a method of JavaScript: EBADF when it is gone already.
  template <typename Thing>
  Napi::Value Release(const char* syscall, const std::shared_ptr<Thing>& thing) {
    auto deferred = Napi::Promise::Deferred::New(Env());
    Destroy(thing, [this, syscall, deferred](int error) {
      environment_->Enter([&](Napi::Env env) {
        if (error == 0) deferred.Resolve(env.Undefined());
        else deferred.Reject(SystemError(env, syscall, error).Value());
      });
    });
    return deferred.Promise();
  }

  std::unordered_set<std::shared_ptr<Domain>> domains;
  std::unordered_set<std::shared_ptr<Region>> regions;
  std::unordered_set<std::shared_ptr<Queue>> queues;
  std::unordered_set<std::shared_ptr<Pair>> pairs;

  /// Registered memory by address, for what is read from it while posting (inline data).
  std::multimap<uint64_t, uint64_t> readable;
  bool MayRead(uint64_t address, uint32_t length) const;

  /// Whatever watches for this context; counted so that the context outlives it. nullptr when libuv refuses.
  Watch* StartWatch(int fd, std::function<void()> callback);
  void StopWatch(Watch*& watch);

  void Submit(ControlThread::Work work, ControlThread::Done done) { thread_->Submit(std::move(work), std::move(done)); }

 private:
  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value QueryPort(const Napi::CallbackInfo& info);
  Napi::Value AllocatePd(const Napi::CallbackInfo& info);
  Napi::Value CreateCompletionQueue(const Napi::CallbackInfo& info);
  Napi::Value CloseMethod(const Napi::CallbackInfo& info);

  void OnAsyncEvent();
  /// Stops everything, destroys what is there, in order, and ends the thread. Idempotent.
  void Shutdown();
  void DestroyAll();
  void MaybeEnded();

  Environment* environment_;
  const Library* library_ = nullptr;
  std::string name_;
  Napi::FunctionReference on_async_event_;
  abi::ibv_context* raw_ = nullptr;
  abi::ibv_device_attr attributes_ = {};
  std::unique_ptr<ControlThread> thread_;
  Watch* async_watch_ = nullptr;
  size_t watches_ = 0;
  bool closing_ = false;
  bool thread_ended_ = false;
  std::vector<Napi::Promise::Deferred> close_waiters_;
};

/// A JavaScript object that stands for one of the structures above.
template <typename Thing>
struct Handle {
  Context* context = nullptr;
  std::shared_ptr<Thing> thing;
  /// Keeps the context's object while this one is there.
  Napi::ObjectReference owner;

  bool dead() const { return thing == nullptr || thing->gone || context->closing(); }
};

/// What a constructor of such an object is given: it only comes from native code.
template <typename Thing>
Napi::Value MakeHandle(Napi::FunctionReference& constructor, Context* context, std::shared_ptr<Thing> thing) {
  Handle<Thing> handle{context, std::move(thing), Napi::Persistent(context->Value())};
  return constructor.New({Napi::External<Handle<Thing>>::New(context->Env(), &handle)});
}

/// The constructor's side of that.
template <typename Thing>
Handle<Thing> TakeHandle(const Napi::CallbackInfo& info) {
  return std::move(*info[0].As<Napi::External<Handle<Thing>>>().Data());
}

// Each in its file; `info` is that of the method of ProtectionDomain.
Napi::Value AllocateMemory(const Napi::CallbackInfo& info, const Handle<Domain>& domain);
Napi::Value RegisterMemory(const Napi::CallbackInfo& info, const Handle<Domain>& domain);
Napi::Value CreateQueuePair(const Napi::CallbackInfo& info, const Handle<Domain>& domain);
/// What a CompletionQueue of JavaScript stands for.
std::shared_ptr<Queue> QueueOf(Napi::Value value);
/// What a MemoryRegion of JavaScript stands for; nullptr when it is released.
std::shared_ptr<Region> RegionOf(Napi::Value value);

inline uint32_t Number(const Napi::CallbackInfo& info, size_t index) {
  return info[index].IsNumber() ? info[index].As<Napi::Number>().Uint32Value() : 0;
}

}  // namespace smcr

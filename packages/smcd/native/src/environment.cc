// environment.cc - life and death of an environment's native state, and the module's entry.

#include "environment.h"

#include <stdlib.h>
#include <unistd.h>

namespace smcd {

Environment::Environment(Napi::Env env) : env_(env) {
  napi_get_uv_event_loop(env, &loop_);
  resource_ = Napi::Persistent(Napi::Object::New(env));
  // A context of our own: callbacks from the loop run with ticks and microtasks like any other of Node's.
  napi_async_init(env, resource_.Value(), Napi::String::New(env, "SMCD"), &context_);
  napi_add_async_cleanup_hook(env, OnCleanup, this, &hook_);
}

void Environment::Add(Handle* handle) {
  handle->next_ = handles_;
  if (handles_ != nullptr) handles_->previous_ = handle;
  handles_ = handle;
}

void Environment::Removed(Handle* handle) {
  if (handle->previous_ != nullptr) handle->previous_->next_ = handle->next_;
  if (handle->next_ != nullptr) handle->next_->previous_ = handle->previous_;
  if (handles_ == handle) handles_ = handle->next_;
  if (ending_ && handles_ == nullptr) FinishCleanup();
}

void Environment::OnCleanup(napi_async_cleanup_hook_handle, void* data) {
  auto* self = static_cast<Environment*>(data);
  self->ending_ = true;
  for (int fd : self->descriptors_) close(fd);
  self->descriptors_.clear();
  if (self->handles_ == nullptr) {
    self->FinishCleanup();
    return;
  }
  for (Handle* handle = self->handles_; handle != nullptr;) {
    Handle* next = handle->next_;
    handle->Close();
    handle = next;
  }
}

void Environment::FinishCleanup() {
  if (hook_ == nullptr) return;
  napi_async_cleanup_hook_handle hook = hook_;
  hook_ = nullptr;
  napi_async_destroy(env_, context_);
  context_ = nullptr;
  napi_remove_async_cleanup_hook(hook);
}

void Environment::Call(const Napi::FunctionReference& function, size_t argc, const napi_value* argv) {
  if (exiting()) return;
  napi_value result;
  napi_status status = napi_make_callback(env_, context_, resource_.Value(), function.Value(), argc, argv, &result);
  if (status == napi_pending_exception) {
    napi_value exception;
    napi_get_and_clear_last_exception(env_, &exception);
    napi_fatal_exception(env_, exception);
  }
}

/// keepFreedMemory(): makes the C library keep freed blocks up to 32 MiB instead of returning each to the system: its threshold
/// follows the largest block ever freed. Receive buffers are allocated and dropped at gigabytes per second; with a fresh
/// mapping each, page faults took a third to a half of the receiver's time.
static Napi::Value KeepFreedMemory(const Napi::CallbackInfo& info) {
  void* volatile block = malloc(31u << 20);
  free(block);
  return info.Env().Undefined();
}

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment(env));
  exports["exiting"] = Napi::Function::New(env, [](const Napi::CallbackInfo& info) { Environment::Get(info.Env())->Exiting(); });
  exports["keepFreedMemory"] = Napi::Function::New(env, KeepFreedMemory);
  InitMapping(env, exports);
  InitCopying(env, exports);
  InitControl(env, exports);
  InitHub(env, exports);
  InitRegistry(env, exports);
  InitEndpoints(env, exports);
  return exports;
}

NODE_API_MODULE(smcd, Init)

}  // namespace smcd

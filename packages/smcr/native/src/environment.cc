// environment.cc - life and death of an environment's native state, and the module's entry.

#include "environment.h"

#include <errno.h>

namespace smcr {

Environment::Environment(Napi::Env env) : env_(env) {
  napi_get_uv_event_loop(env, &loop_);
  resource_ = Napi::Persistent(Napi::Object::New(env));
  napi_async_init(env, resource_.Value(), Napi::String::New(env, "SMCR"), &context_);
  napi_add_async_cleanup_hook(env, OnCleanup, this, &hook_);
}

const Library* Environment::library() {
  if (!looked_) library_ = OpenLibrary(&why_);
  looked_ = true;
  return library_.get();
}

void Environment::Add(Ending* one) {
  one->next_ = all_;
  if (all_ != nullptr) all_->previous_ = one;
  all_ = one;
}

void Environment::Removed(Ending* one) {
  if (one->previous_ != nullptr) one->previous_->next_ = one->next_;
  if (one->next_ != nullptr) one->next_->previous_ = one->previous_;
  if (all_ == one) all_ = one->next_;
  one->previous_ = one->next_ = nullptr;
  if (ending_ && all_ == nullptr) FinishCleanup();
}

void Environment::OnCleanup(napi_async_cleanup_hook_handle, void* data) {
  auto* self = static_cast<Environment*>(data);
  self->ending_ = true;
  if (self->all_ == nullptr) {
    self->FinishCleanup();
    return;
  }
  for (Ending* one = self->all_; one != nullptr;) {
    Ending* next = one->next_;
    one->End();
    one = next;
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

void Environment::Enter(const std::function<void(Napi::Env)>& body) {
  if (exiting()) return;
  Napi::HandleScope handles(env_);
  napi_callback_scope scope;
  if (napi_open_callback_scope(env_, resource_.Value(), context_, &scope) != napi_ok) return;
  body(env());
  napi_close_callback_scope(env_, scope);
}

void Environment::Call(const Napi::FunctionReference& function, std::initializer_list<napi_value> args) {
  if (exiting()) return;
  napi_value result;
  const napi_status status = napi_make_callback(env_, context_, resource_.Value(), function.Value(), args.size(), args.begin(), &result);
  if (status == napi_pending_exception) {
    napi_value exception;
    napi_get_and_clear_last_exception(env_, &exception);
    napi_fatal_exception(env_, exception);
  }
}

Napi::Error SystemError(Napi::Env env, const char* syscall, int error) {
  const char* name = uv_err_name(-error);
  Napi::Error result = Napi::Error::New(env, std::string(name) + ": " + uv_strerror(-error) + ", " + syscall);
  result.Set("code", Napi::String::New(env, name));
  result.Set("errno", Napi::Number::New(env, -error));
  result.Set("syscall", Napi::String::New(env, syscall));
  return result;
}

Napi::Value Rejected(Napi::Env env, const char* syscall, int error) {
  auto deferred = Napi::Promise::Deferred::New(env);
  deferred.Reject(SystemError(env, syscall, error).Value());
  return deferred.Promise();
}

bool Words(Napi::Value value, uint32_t** words, size_t* length) {
  void* data = nullptr;
  if (!Elements(value, napi_uint32_array, &data, length)) return false;
  *words = static_cast<uint32_t*>(data);
  return true;
}

bool Elements(Napi::Value value, napi_typedarray_type wanted, void** data, size_t* length) {
  napi_typedarray_type type;
  // Fails for anything else.
  return napi_get_typedarray_info(value.Env(), value, &type, length, data, nullptr, nullptr) == napi_ok && type == wanted;
}

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment(env));
  exports["exiting"] = Napi::Function::New(env, [](const Napi::CallbackInfo& info) { Environment::Get(info.Env())->Exiting(); });
  // library() -> undefined when libibverbs can be used, else why not.
  exports["library"] = Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
    Environment* environment = Environment::Get(info.Env());
    if (environment->library() != nullptr) return info.Env().Undefined();
    return Napi::String::New(info.Env(), environment->why());
  });
  // devices() -> [[name, guid], ...], or -errno.
  exports["devices"] = Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
    const Library* library = Environment::Get(info.Env())->library();
    std::vector<DeviceName> devices;
    const int rc = library == nullptr ? -ENOSYS : ListDevices(*library, &devices);
    if (rc < 0) return Napi::Number::New(info.Env(), rc);
    Napi::Array result = Napi::Array::New(info.Env());
    for (const DeviceName& device : devices) {
      Napi::Array pair = Napi::Array::New(info.Env());
      pair[0u] = Napi::String::New(info.Env(), device.name);
      pair[1u] = Napi::String::New(info.Env(), device.guid);
      result[result.Length()] = pair;
    }
    return result;
  });
  InitBpf(env, exports);
  InitContext(env, exports);
  InitDomain(env);
  InitGuard(env, exports);
  InitMemory(env);
  InitCompletionQueue(env);
  InitQueuePair(env);
  return exports;
}

NODE_API_MODULE(smcr, Init)

}  // namespace smcr

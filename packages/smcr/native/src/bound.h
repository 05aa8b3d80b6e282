// bound.h - functions of JavaScript for what happens once per message. An ordinary method finds its object and the memory of its
// arguments anew at each call, which costs several times what the call is about; these know both beforehand.
#pragma once

#include <napi.h>

#include "environment.h"

namespace smcr {

template <typename Object, typename State>
struct Bound {
  Object* object;
  State state;
};

/// A function that calls `call(env, bound, argument)`. It holds `this` of `info` and its arguments, so `object`, which wraps `this`,
/// and the memory of arrays among them are there as long as it is; neither detaching nor resizing those is up to who asked for it.
template <auto call, typename Object, typename State>
Napi::Value Bind(const Napi::CallbackInfo& info, const char* name, Object* object, const State& state) {
  using Data = Bound<Object, State>;
  const auto enter = [](napi_env env, napi_callback_info inside) -> napi_value {
    void* data = nullptr;
    size_t count = 1;
    napi_value argument = nullptr;
    if (napi_get_cb_info(env, inside, &count, &argument, nullptr, &data) != napi_ok) return nullptr;
    return call(env, static_cast<Data*>(data), argument);
  };
  const Napi::Env env = info.Env();
  auto* data = new Data{object, state};
  napi_value function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, enter, data, &function) != napi_ok) {
    delete data;
    return Napi::Value();
  }
  Napi::Object result(env, function);
  result.AddFinalizer([](Napi::Env, Data* unused) { delete unused; }, data);
  Napi::Array held = Napi::Array::New(env);
  held[0u] = info.This();
  for (uint32_t i = 0; i < info.Length(); i++) held[i + 1] = info[i];
  result.Set("held", held);
  return result;
}

/// What such a function returns: a count, or the exception for -errno.
inline napi_value CountOrThrow(Napi::Env env, const char* syscall, int rc) {
  napi_value result = nullptr;
  if (rc >= 0) napi_create_int32(env, rc, &result);
  else SystemError(env, syscall, -rc).ThrowAsJavaScriptException();
  return result;
}

}  // namespace smcr

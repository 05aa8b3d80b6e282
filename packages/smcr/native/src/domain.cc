// domain.cc - protection domains: what memory and queue pairs belong to.

#include <errno.h>

#include "context.h"

namespace smcr {

using namespace abi;

namespace {

class DomainObject final : public Napi::ObjectWrap<DomainObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ProtectionDomain",
                       {InstanceMethod<&DomainObject::Allocate>("allocateMemory"), InstanceMethod<&DomainObject::Register>("registerMemory"),
                        InstanceMethod<&DomainObject::Create>("createQueuePair"), InstanceMethod<&DomainObject::Release>("release")});
  }

  explicit DomainObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DomainObject>(info), handle_(TakeHandle<Domain>(info)) {}

 private:
  Napi::Value Allocate(const Napi::CallbackInfo& info) {
    return handle_.dead() ? Rejected(info.Env(), "ibv_reg_mr", EBADF) : AllocateMemory(info, handle_);
  }

  Napi::Value Register(const Napi::CallbackInfo& info) {
    return handle_.dead() ? Rejected(info.Env(), "ibv_reg_mr", EBADF) : RegisterMemory(info, handle_);
  }

  Napi::Value Create(const Napi::CallbackInfo& info) {
    return handle_.dead() ? Rejected(info.Env(), "ibv_create_qp", EBADF) : CreateQueuePair(info, handle_);
  }

  Napi::Value Release(const Napi::CallbackInfo& info) {
    if (handle_.dead()) return Rejected(info.Env(), "ibv_dealloc_pd", EBADF);
    if (handle_.thing->users > 0) return Rejected(info.Env(), "ibv_dealloc_pd", EBUSY);
    return handle_.context->Release("ibv_dealloc_pd", handle_.thing);
  }

  Handle<Domain> handle_;
};

}  // namespace

/// allocatePd() -> ProtectionDomain
Napi::Value Context::AllocatePd(const Napi::CallbackInfo& info) {
  constexpr const char* kSyscall = "ibv_alloc_pd";
  if (closing()) return Rejected(info.Env(), kSyscall, EBADF);
  auto domain = std::make_shared<Domain>();
  return Verb(
      kSyscall,
      [library = library_, raw = raw_, domain] {
        errno = 0;
        domain->raw = library->alloc_pd(raw);
        return domain->raw != nullptr ? 0 : errno == 0 ? EIO : errno;
      },
      [this, domain](int& error) {
        if (error == 0) domains.insert(domain);
      },
      [this, domain](Napi::Env) { return MakeHandle(environment_->protection_domain, this, domain); });
}

void Context::Destroy(const std::shared_ptr<Domain>& domain, ControlThread::Done done) {
  domain->gone = true;
  Submit([library = library_, raw = domain->raw] { return library->dealloc_pd(raw); },
         [this, domain, done = std::move(done)](int error) {
           if (error == 0) domains.erase(domain);
           done(error);
         });
}

void InitDomain(Napi::Env env) { Environment::Get(env)->protection_domain = Napi::Persistent(DomainObject::Define(env)); }

}  // namespace smcr

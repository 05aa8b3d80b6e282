// memory.cc - memory that a device reads and writes: our own shared mapping, never V8's heap.

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "context.h"

namespace smcr {

using namespace abi;

namespace {

/// Zeroed shared pages for `length` bytes, twice in a row if `mirrored`. 0 or an errno.
int Map(bool mirrored, Mapping* out) {
  const size_t length = out->length;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (length == 0 || length > (size_t{1} << 40) || (mirrored && length % page != 0)) return EINVAL;
  const size_t rounded = (length + page - 1) / page * page;
  const size_t total = mirrored ? 2 * rounded : rounded;
  // The whole range is reserved first: what is put into it then replaces only our own.
  void* base = mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return errno;
  out->address = base;
  out->bytes = total;
  if (mmap(base, rounded, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) return errno;
  // An old size of 0 makes a second mapping of the same shared pages.
  if (mirrored && mremap(base, 0, rounded, MREMAP_MAYMOVE | MREMAP_FIXED, static_cast<char*>(base) + rounded) == MAP_FAILED) return errno;
  return madvise(base, total, MADV_DONTFORK) < 0 ? errno : 0;
}

/// An ArrayBuffer that keeps the mapping as long as anything of it is there. Empty where V8 has no room for such (sandbox).
Napi::Value Wrap(Napi::Env env, const std::shared_ptr<Mapping>& mapping, size_t bytes) {
  auto* hold = new std::shared_ptr<Mapping>(mapping);
  const auto finalize = [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Mapping>*>(hint); };
  napi_value buffer;
  if (napi_create_external_arraybuffer(env, mapping->address, bytes, finalize, hold, &buffer) == napi_ok) return Napi::Value(env, buffer);
  delete hold;
  return Napi::Value();
}

class RegionObject final : public Napi::ObjectWrap<RegionObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "MemoryRegion",
                       {InstanceMethod<&RegionObject::Keys>("keys"), InstanceMethod<&RegionObject::Buffer>("buffer"),
                        InstanceMethod<&RegionObject::Release>("release")});
  }

  explicit RegionObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RegionObject>(info), handle_(TakeHandle<Region>(info)) {}

  /// nullptr when released.
  std::shared_ptr<Mapping> mapping() const { return handle_.dead() ? nullptr : handle_.thing->mapping; }
  std::shared_ptr<Region> region() const { return handle_.dead() ? nullptr : handle_.thing; }

 private:
  /// keys() -> [lkey, rkey, address]
  Napi::Value Keys(const Napi::CallbackInfo& info) {
    if (handle_.dead()) return info.Env().Undefined();
    const ibv_mr* raw = handle_.thing->raw;
    Napi::Array keys = Napi::Array::New(info.Env());
    keys[0u] = Napi::Number::New(info.Env(), raw->lkey);
    keys[1u] = Napi::Number::New(info.Env(), raw->rkey);
    keys[2u] = Napi::BigInt::New(info.Env(), reinterpret_cast<uint64_t>(handle_.thing->mapping->address));
    return keys;
  }

  /// buffer(bytes) -> ArrayBuffer over the mapping, once; undefined where there are no external buffers.
  Napi::Value Buffer(const Napi::CallbackInfo& info) {
    if (handle_.dead() || !handle_.thing->buffer.IsEmpty()) return info.Env().Undefined();
    const size_t all = handle_.thing->mapping->bytes;
    const auto wanted = static_cast<size_t>(info[0].As<Napi::Number>().Int64Value());
    Napi::Value value = Wrap(info.Env(), handle_.thing->mapping, wanted < all ? wanted : all);
    if (value.IsEmpty()) return info.Env().Undefined();
    handle_.thing->buffer = Napi::Weak(value.As<Napi::ArrayBuffer>());
    return value;
  }

  Napi::Value Release(const Napi::CallbackInfo& info) {
    if (handle_.dead()) return Rejected(info.Env(), "ibv_dereg_mr", EBADF);
    if (!handle_.thing->guest && handle_.thing->mapping->guests > 0) return Rejected(info.Env(), "ibv_dereg_mr", EBUSY);
    return handle_.context->Release("ibv_dereg_mr", handle_.thing);
  }

  Handle<Region> handle_;
};

}  // namespace

Mapping::~Mapping() {
  if (address != nullptr) munmap(address, bytes);
}

/// A registration of the region's mapping, made on the control thread.
static Napi::Value Register(const Handle<Domain>& domain, const std::shared_ptr<Region>& region, bool remote, bool map, bool mirrored) {
  Context* context = domain.context;
  region->domain = domain.thing;
  region->domain->users++;
  if (region->guest) region->mapping->guests++;
  return context->Verb(
      "ibv_reg_mr",
      [library = &context->library(), pd = domain.thing->raw, region, remote, map, mirrored] {
        const int rc = map ? Map(mirrored, region->mapping.get()) : 0;
        if (rc != 0) return rc;
        errno = 0;
        const int access = IBV_ACCESS_LOCAL_WRITE | (remote ? IBV_ACCESS_REMOTE_WRITE : 0);
        region->raw = library->reg_mr(pd, region->mapping->address, region->mapping->length, access);
        return region->raw != nullptr ? 0 : errno == 0 ? EIO : errno;
      },
      [context, region](int& error) {
        if (error == 0) {
          context->regions.insert(region);
          context->readable.emplace(reinterpret_cast<uint64_t>(region->mapping->address), region->mapping->length);
        } else {
          region->domain->users--;
          if (region->guest) region->mapping->guests--;
        }
      },
      [context, region](Napi::Env) { return MakeHandle(context->environment().memory_region, context, region); });
}

/// allocateMemory(length, remoteWrite, mirrored) -> MemoryRegion
Napi::Value AllocateMemory(const Napi::CallbackInfo& info, const Handle<Domain>& domain) {
  auto region = std::make_shared<Region>();
  region->mapping = std::make_shared<Mapping>();
  region->mapping->length = static_cast<size_t>(info[0].As<Napi::Number>().Int64Value());
  return Register(domain, region, info[1].ToBoolean(), true, info[2].ToBoolean());
}

/// registerMemory(region, remoteWrite) -> MemoryRegion without a buffer: memory of another domain, perhaps another device.
Napi::Value RegisterMemory(const Napi::CallbackInfo& info, const Handle<Domain>& domain) {
  auto region = std::make_shared<Region>();
  region->mapping = RegionObject::Unwrap(info[0].As<Napi::Object>())->mapping();
  if (region->mapping == nullptr) return Rejected(info.Env(), "ibv_reg_mr", EBADF);
  region->guest = true;
  return Register(domain, region, info[1].ToBoolean(), false, false);
}

void Context::Destroy(const std::shared_ptr<Region>& region, ControlThread::Done done) {
  region->gone = true;
  region->domain->users--;
  readable.erase(readable.find(reinterpret_cast<uint64_t>(region->mapping->address)));
  Submit([library = library_, raw = region->raw] { return library->dereg_mr(raw); },
         [this, region, done = std::move(done)](int error) {
           if (error == 0) {
             // Views have length 0 from now on. A buffer that JavaScript has moved elsewhere keeps the mapping until it ends.
             Napi::HandleScope scope(Env());
             Napi::ArrayBuffer buffer = region->buffer.Value();
             if (!environment_->exiting() && !buffer.IsEmpty() && !buffer.IsDetached()) buffer.Detach();
             region->buffer.Reset();
             if (region->guest) region->mapping->guests--;
             region->mapping.reset();
             regions.erase(region);
           }
           done(error);
         });
}

std::shared_ptr<Region> RegionOf(Napi::Value value) { return RegionObject::Unwrap(value.As<Napi::Object>())->region(); }

void InitMemory(Napi::Env env) { Environment::Get(env)->memory_region = Napi::Persistent(RegionObject::Define(env)); }

}  // namespace smcr

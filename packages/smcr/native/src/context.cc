// context.cc - opening a device, what is asked of it as a whole, its events, and its end in the order that is safe:
// queue pairs, memory, completion queues, protection domains, the device.

#include "context.h"

#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace smcr {

using namespace abi;

Napi::Function Context::Define(Napi::Env env) {
  return DefineClass(env, "Context",
                     {InstanceMethod<&Context::Open>("open"), InstanceMethod<&Context::QueryPort>("queryPort"),
                      InstanceMethod<&Context::AllocatePd>("allocatePd"),
                      InstanceMethod<&Context::CreateCompletionQueue>("createCompletionQueue"),
                      InstanceMethod<&Context::CloseMethod>("close")});
}

Context::Context(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Context>(info), environment_(Environment::Get(info.Env())) {
  name_ = info[0].As<Napi::String>().Utf8Value();
  on_async_event_ = Napi::Persistent(info[1].As<Napi::Function>());
}

Napi::Value Context::Verb(const char* syscall, ControlThread::Work work, Settled settled, Result result) {
  auto deferred = Napi::Promise::Deferred::New(Env());
  thread_->Submit(std::move(work), [this, syscall, settled = std::move(settled), result = std::move(result), deferred](int error) {
    {
      // Also while the environment ends: references are let go.
      Napi::HandleScope scope(Env());
      if (settled) settled(error);
    }
    environment_->Enter([&](Napi::Env env) {
      // What was asked for before close() and came after it is destroyed already, or soon.
      if (error == 0 && result && closing_) error = EBADF;
      if (error == 0) deferred.Resolve(result ? result(env) : env.Undefined());
      else deferred.Reject(SystemError(env, syscall, error).Value());
    });
  });
  return deferred.Promise();
}

/// open() -> [portCount, maxQueuePairs, maxWorkRequests, maxCompletionEntries, maxMemoryRegions, maxMemoryRegionBytes]
Napi::Value Context::Open(const Napi::CallbackInfo& info) {
  constexpr const char* kSyscall = "ibv_open_device";
  library_ = environment_->library();
  if (library_ == nullptr) return Rejected(info.Env(), kSyscall, ENOSYS);
  if (thread_ != nullptr || closing_) return Rejected(info.Env(), kSyscall, EBADF);
  auto thread = std::make_unique<ControlThread>();
  const int rc = thread->Start(environment_->loop());
  if (rc < 0) return Rejected(info.Env(), kSyscall, -rc);
  thread_ = std::move(thread);
  environment_->Add(this);
  Ref();
  struct Opened {
    ibv_context* raw = nullptr;
    ibv_device_attr attributes = {};
  };
  auto opened = std::make_shared<Opened>();
  return Verb(
      kSyscall,
      [library = library_, name = name_, opened] {
        int error = 0;
        opened->raw = OpenDevice(*library, name, &opened->attributes, &error);
        return error;
      },
      [this, opened](int& error) {
        raw_ = opened->raw;
        attributes_ = opened->attributes;
        if (error == 0 && !closing_) {
          async_watch_ = StartWatch(raw_->async_fd, [this] { OnAsyncEvent(); });
          if (async_watch_ == nullptr) error = EIO;
        }
        if (error != 0) Shutdown();
      },
      [this](Napi::Env env) -> Napi::Value {
        const double values[] = {static_cast<double>(attributes_.phys_port_cnt), static_cast<double>(attributes_.max_qp),
                                 static_cast<double>(attributes_.max_qp_wr),     static_cast<double>(attributes_.max_cqe),
                                 static_cast<double>(attributes_.max_mr),        static_cast<double>(attributes_.max_mr_size)};
        Napi::Array limits = Napi::Array::New(env, std::size(values));
        for (uint32_t i = 0; i < std::size(values); i++) limits[i] = Napi::Number::New(env, values[i]);
        return limits;
      });
}

namespace {

struct Gid {
  ibv_gid_entry entry;
  char interface[IF_NAMESIZE];
  uint8_t mac[6];
};

/// Name and hardware address of a network interface; left empty where it is in another network namespace.
void Describe(int sock, Gid* gid) {
  if (gid->entry.ndev_ifindex == 0 || if_indextoname(gid->entry.ndev_ifindex, gid->interface) == nullptr) return;
  ifreq request = {};
  memcpy(request.ifr_name, gid->interface, IF_NAMESIZE);
  if (sock >= 0 && ioctl(sock, SIOCGIFHWADDR, &request) == 0) memcpy(gid->mac, request.ifr_hwaddr.sa_data, sizeof gid->mac);
}

int ReadPort(const Library& library, ibv_context* context, uint8_t number, uint8_t ports, ibv_port_attr* port, std::vector<Gid>* gids) {
  int rc = library.query_port(context, number, port);
  if (rc != 0) return rc < 0 ? errno : rc;
  // The table comes for all ports at once; ports of one device have tables of one size.
  const size_t most = static_cast<size_t>(port->gid_tbl_len < 0 ? 0 : port->gid_tbl_len) * ports;
  if (most == 0) return 0;
  std::vector<ibv_gid_entry> entries(most);
  const ssize_t count = library.query_gid_table(context, entries.data(), most, 0, sizeof(ibv_gid_entry));
  if (count < 0) return static_cast<int>(-count);
  const int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (size_t i = 0; i < static_cast<size_t>(count); i++) {
    if (entries[i].port_num != number) continue;
    Gid gid = {entries[i], {}, {}};
    Describe(sock, &gid);
    gids->push_back(gid);
  }
  if (sock >= 0) close(sock);
  return 0;
}

}  // namespace

/// queryPort(number) -> [state, linkLayer, activeMtu, [[index, gid, type, interface, mac], ...]]
Napi::Value Context::QueryPort(const Napi::CallbackInfo& info) {
  constexpr const char* kSyscall = "ibv_query_port";
  if (closing()) return Rejected(info.Env(), kSyscall, EBADF);
  const uint32_t number = Number(info, 0);
  if (number < 1 || number > attributes_.phys_port_cnt) return Rejected(info.Env(), kSyscall, EINVAL);
  auto port = std::make_shared<ibv_port_attr>();
  auto gids = std::make_shared<std::vector<Gid>>();
  return Verb(
      kSyscall,
      [library = library_, raw = raw_, number, ports = attributes_.phys_port_cnt, port, gids] {
        return ReadPort(*library, raw, static_cast<uint8_t>(number), ports, port.get(), gids.get());
      },
      {},
      [port, gids](Napi::Env env) -> Napi::Value {
        Napi::Array list = Napi::Array::New(env);
        for (const Gid& gid : *gids) {
          Napi::Array one = Napi::Array::New(env);
          one[0u] = Napi::Number::New(env, gid.entry.gid_index);
          one[1u] = Napi::Buffer<uint8_t>::Copy(env, gid.entry.gid, sizeof gid.entry.gid);
          one[2u] = Napi::Number::New(env, gid.entry.gid_type);
          one[3u] = Napi::String::New(env, gid.interface);
          one[4u] = Napi::Buffer<uint8_t>::Copy(env, gid.mac, sizeof gid.mac);
          list[list.Length()] = one;
        }
        Napi::Array result = Napi::Array::New(env);
        result[0u] = Napi::Number::New(env, port->state);
        result[1u] = Napi::Number::New(env, port->link_layer);
        result[2u] = Napi::Number::New(env, port->active_mtu);
        result[3u] = list;
        return result;
      });
}

void Context::OnAsyncEvent() {
  ibv_async_event event;
  for (;;) {
    // A callback below may have closed us.
    if (async_watch_ == nullptr) return;
    if (library_->get_async_event(raw_, &event) != 0) {
      // A device that was taken away makes its descriptor readable for ever.
      if (errno != EAGAIN && errno != EINTR) StopWatch(async_watch_);
      return;
    }
    const int type = event.event_type;
    // Before it is acknowledged nothing the event is about can go away. Types 1 to 7 and 16 are about a queue pair, 9 to 13,
    // 17 and 18 about a port (enum ibv_event_type).
    const bool pair = (type >= 1 && type <= 7) || type == 16;
    const bool port = (type >= 9 && type <= 13) || type == 17 || type == 18;
    const uint32_t value = pair ? event.element.qp->qp_num : port ? static_cast<uint32_t>(event.element.port_num) : 0;
    library_->ack_async_event(&event);
    if (closing_) continue;
    Napi::HandleScope scope(Env());
    environment_->Call(on_async_event_, {Napi::Number::New(Env(), type), Napi::Number::New(Env(), value)});
  }
}

bool Context::MayRead(uint64_t address, uint32_t length) const {
  auto next = readable.upper_bound(address);
  if (next == readable.begin()) return false;
  const auto& [start, bytes] = *--next;
  return address - start <= bytes && length <= bytes - (address - start);
}

Watch* Context::StartWatch(int fd, std::function<void()> callback) {
  Watch* watch = Watch::Start(environment_->loop(), fd, std::move(callback));
  if (watch != nullptr) watches_++;
  return watch;
}

void Context::StopWatch(Watch*& watch) {
  if (watch == nullptr) return;
  watch->Stop([this] {
    watches_--;
    MaybeEnded();
  });
  watch = nullptr;
}

/// close() -> when everything is destroyed. Any number of calls.
Napi::Value Context::CloseMethod(const Napi::CallbackInfo& info) {
  auto deferred = Napi::Promise::Deferred::New(info.Env());
  if (thread_ == nullptr || (thread_ended_ && watches_ == 0)) {
    closing_ = true;
    deferred.Resolve(info.Env().Undefined());
  } else {
    close_waiters_.push_back(deferred);
    Shutdown();
  }
  return deferred.Promise();
}

void Context::Shutdown() {
  if (closing_) return;
  closing_ = true;
  for (const auto& queue : queues) environment_->Unguard(queue);
  // What is still being made is there when this is done, and nothing new is begun.
  thread_->Submit([] { return 0; }, [this](int) { DestroyAll(); });
}

void Context::DestroyAll() {
  const auto nothing = [](int) {};
  for (const auto& pair : std::unordered_set(pairs)) {
    if (!pair->gone) Destroy(pair, nothing);
  }
  for (const auto& region : std::unordered_set(regions)) {
    if (!region->gone) Destroy(region, nothing);
  }
  for (const auto& queue : std::unordered_set(queues)) {
    if (!queue->gone) Destroy(queue, nothing);
  }
  for (const auto& domain : std::unordered_set(domains)) {
    if (!domain->gone) Destroy(domain, nothing);
  }
  StopWatch(async_watch_);
  thread_->Submit(
      [library = library_, raw = raw_] { return raw == nullptr ? 0 : library->close_device(raw); },
      [this](int) {
        raw_ = nullptr;
        thread_->Finish([this] {
          thread_ended_ = true;
          MaybeEnded();
        });
      });
}

void Context::MaybeEnded() {
  if (!thread_ended_ || watches_ > 0) return;
  Napi::HandleScope scope(Env());
  on_async_event_.Reset();
  auto waiters = std::move(close_waiters_);
  environment_->Enter([&](Napi::Env env) {
    for (const auto& waiter : waiters) waiter.Resolve(env.Undefined());
  });
  // Last: after the last of them the environment may end.
  Environment* environment = environment_;
  Unref();
  environment->Removed(this);
}

void InitContext(Napi::Env env, Napi::Object exports) { exports["Context"] = Context::Define(env); }

}  // namespace smcr

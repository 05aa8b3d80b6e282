// completion_queue.cc - completion queues, each with a completion channel of its own: polling into memory of JavaScript, and
// one call per wake-up in event mode.

#include <endian.h>
#include <errno.h>

#include "bound.h"
#include "context.h"

namespace smcr {

using namespace abi;

namespace {

constexpr size_t kWords = 8;  // COMPLETION.words in verbs-provider.ts
constexpr size_t kBatch = 16;

/// COMPLETION_OPCODE in verbs-provider.ts.
uint32_t Opcode(int opcode) {
  switch (opcode) {
    case IBV_WC_RDMA_WRITE: return 1;
    case IBV_WC_RECV: return 2;
    case IBV_WC_RECV_RDMA_WITH_IMM: return 3;
    default: return 0;
  }
}

/// Writes one record, see COMPLETION in verbs-provider.ts.
void Write(const Completions::Taken& taken, uint32_t* to) {
  const ibv_wc& from = taken.completion;
  const bool good = from.status == 0;
  const bool immediate = good && (from.wc_flags & IBV_WC_WITH_IMM) != 0;
  to[0] = static_cast<uint32_t>(from.wr_id);
  to[1] = static_cast<uint32_t>(from.status);
  to[2] = good ? Opcode(from.opcode) : 0;
  to[3] = good && (from.opcode & IBV_WC_RECV) != 0 ? from.byte_len : 0;
  to[4] = (immediate ? 1 : 0) | (taken.kept ? 2 : 0) | (taken.answered ? 4 : 0);
  to[5] = taken.kept ? static_cast<uint32_t>(taken.at) : immediate ? be32toh(from.imm_data) : 0;
  to[6] = from.qp_num;
  to[7] = from.vendor_err;
}

class QueueObject final : public Napi::ObjectWrap<QueueObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "CompletionQueue",
                       {InstanceMethod<&QueueObject::Entries>("entries"), InstanceMethod<&QueueObject::Poll>("poll"),
                        InstanceMethod<&QueueObject::Poller>("poller"), InstanceMethod<&QueueObject::Arm>("arm"),
                        InstanceMethod<&QueueObject::Destroy>("destroy")});
  }

  explicit QueueObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<QueueObject>(info), handle_(TakeHandle<Queue>(info)) {}

  const std::shared_ptr<Queue>& queue() const { return handle_.thing; }

 private:
  Napi::Value Entries(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), handle_.dead() ? 0 : handle_.thing->raw->cqe);
  }

  /// Where completions go: `completions`, a Uint32Array, and `kept`, a Uint8Array for messages of guarded pairs, or undefined.
  struct Into {
    uint32_t* words = nullptr;
    size_t length = 0;
    uint8_t* room = nullptr;
    size_t bytes = 0;

    bool Is(const Napi::CallbackInfo& info) {
      void* data = nullptr;
      if (!Words(info[0], &words, &length)) return false;
      if (!Elements(info[1], napi_uint8_array, &data, &bytes)) return info[1].IsUndefined();
      room = static_cast<uint8_t*>(data);
      return true;
    }
  };

  /// poll(completions, kept) -> how many records were filled. Allocates nothing.
  Napi::Value Poll(const Napi::CallbackInfo& info) {
    Into into;
    return Napi::Value(info.Env(), Answer(info.Env(), handle_.dead() ? -EBADF : into.Is(info) ? Take(into) : -EINVAL));
  }

  /// poller(completions, kept) -> a function that is poll() for these two, for as long as neither is detached. What poll asks of
  /// Node-API costs three times what it asks of the library.
  Napi::Value Poller(const Napi::CallbackInfo& info) {
    Into into;
    if (!into.Is(info)) return Napi::Value(info.Env(), Answer(info.Env(), -EINVAL));
    constexpr auto call = [](napi_env env, Bound<QueueObject, Into>* bound, napi_value) {
      QueueObject& self = *bound->object;
      return self.Answer(env, self.handle_.dead() ? -EBADF : self.Take(bound->state));
    };
    return Bind<call>(info, "poll", this, into);
  }

  napi_value Answer(Napi::Env env, int rc) { return CountOrThrow(env, "ibv_poll_cq", rc); }

  int Take(const Into& into) {
    uint32_t* const words = into.words;
    const size_t most = into.length / kWords;
    uint8_t* const room = into.room;
    const size_t bytes = into.bytes;
    Completions& completions = *handle_.thing->completions;
    size_t count = 0;
    size_t used = 0;
    while (count < most) {
      Completions::Taken batch[kBatch];
      const size_t left = most - count;
      const size_t size = left < kBatch ? left : kBatch;
      const int got = completions.Take(batch, size, room, bytes, &used);
      if (got < 0) return count > 0 ? static_cast<int>(count) : got;
      for (int i = 0; i < got; i++) Write(batch[i], words + count++ * kWords);
      if (static_cast<size_t>(got) < size) break;
    }
    return static_cast<int>(count);
  }

  /// arm(solicitedOnly)
  Napi::Value Arm(const Napi::CallbackInfo& info) {
    int error = EBADF;
    if (!handle_.dead()) {
      ibv_cq* raw = handle_.thing->raw;
      error = raw->context->ops.req_notify_cq(raw, info[0].ToBoolean() ? 1 : 0);
    }
    if (error != 0) SystemError(info.Env(), "ibv_req_notify_cq", error < 0 ? EIO : error).ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }

  Napi::Value Destroy(const Napi::CallbackInfo& info) {
    if (handle_.dead()) return Rejected(info.Env(), "ibv_destroy_cq", EBADF);
    if (handle_.thing->users > 0) return Rejected(info.Env(), "ibv_destroy_cq", EBUSY);
    return handle_.context->Release("ibv_destroy_cq", handle_.thing);
  }

  Handle<Queue> handle_;
};

/// Takes the events of the channel, acknowledges them, and tells JavaScript once.
void OnEvent(Context& context, Queue& queue) {
  ibv_cq* cq = nullptr;
  void* ignored = nullptr;
  unsigned events = 0;
  // One event for each time the queue was armed: another one makes the descriptor readable again.
  if (context.library().get_cq_event(queue.channel, &cq, &ignored) == 0) events++;
  // A device that was taken away makes its descriptor readable for ever.
  else if (errno != EAGAIN && errno != EINTR) context.StopWatch(queue.watch);
  if (events == 0) return;
  context.library().ack_cq_events(queue.raw, events);
  context.environment().EventTaken();
  // Whoever has called close() may not poll any more.
  if (context.closing()) return;
  Napi::HandleScope scope(context.Env());
  context.environment().Call(queue.on_event, {});
}

int Create(const Library& library, ibv_context* context, int entries, Queue* queue) {
  errno = 0;
  queue->channel = library.create_comp_channel(context);
  if (queue->channel == nullptr) return errno == 0 ? EIO : errno;
  queue->raw = library.create_cq(context, entries, nullptr, queue->channel, 0);
  if (queue->raw != nullptr) return 0;
  const int error = errno == 0 ? EIO : errno;
  library.destroy_comp_channel(queue->channel);
  return error;
}

}  // namespace

/// createCompletionQueue(entries, onEvent) -> CompletionQueue
Napi::Value Context::CreateCompletionQueue(const Napi::CallbackInfo& info) {
  constexpr const char* kSyscall = "ibv_create_cq";
  if (closing()) return Rejected(info.Env(), kSyscall, EBADF);
  const uint32_t entries = Number(info, 0);
  if (entries < 1 || entries > static_cast<uint32_t>(attributes_.max_cqe)) return Rejected(info.Env(), kSyscall, EINVAL);
  auto queue = std::make_shared<Queue>();
  queue->on_event = Napi::Persistent(info[1].As<Napi::Function>());
  return Verb(
      kSyscall,
      [library = library_, raw = raw_, entries, queue = queue.get()] { return Create(*library, raw, static_cast<int>(entries), queue); },
      [this, queue](int& error) {
        if (error != 0) {
          queue->on_event.Reset();
          return;
        }
        queue->completions = std::make_shared<Completions>(*library_, queue->raw, queue->channel);
        queues.insert(queue);
        if (closing_) return;
        queue->watch = StartWatch(queue->channel->fd, [this, queue = queue.get()] { OnEvent(*this, *queue); });
        if (queue->watch != nullptr) return;
        error = EIO;
        Destroy(queue, [](int) {});
      },
      [this, queue](Napi::Env) { return MakeHandle(environment_->completion_queue, this, queue); });
}

void Context::Destroy(const std::shared_ptr<Queue>& queue, ControlThread::Done done) {
  queue->gone = true;
  // The guard lets go of it before the library does.
  queue->completions->Close();
  environment_->Unguard(queue);
  // The channel's descriptor is closed by the job: nobody may watch it then.
  StopWatch(queue->watch);
  Submit(
      [library = library_, raw = queue->raw, channel = queue->channel] {
        const int error = library->destroy_cq(raw);
        return error != 0 ? error : library->destroy_comp_channel(channel);
      },
      [this, queue, done = std::move(done)](int error) {
        queue->on_event.Reset();
        if (error == 0) queues.erase(queue);
        done(error);
      });
}

std::shared_ptr<Queue> QueueOf(Napi::Value value) { return QueueObject::Unwrap(value.As<Napi::Object>())->queue(); }

void InitCompletionQueue(Napi::Env env) { Environment::Get(env)->completion_queue = Napi::Persistent(QueueObject::Define(env)); }

}  // namespace smcr

// queue_pair.cc - reliable connected queue pairs: their states, and posting.

#include <endian.h>
#include <errno.h>

#include <cstring>

#include "bound.h"
#include "context.h"

namespace smcr {

using namespace abi;

namespace {

constexpr size_t kSendWords = 12;    // SEND_WR.words in verbs-provider.ts
constexpr size_t kReceiveWords = 8;  // RECEIVE_WR.words
constexpr size_t kBatch = 16;
constexpr uint32_t kAllFlags = 15;
constexpr const char* kPostSend = "ibv_post_send";

uint64_t Join(uint32_t low, uint32_t high) { return static_cast<uint64_t>(high) << 32 | low; }

/// SEND_FLAG in verbs-provider.ts to the library's.
unsigned SendFlags(uint32_t flags) {
  unsigned result = 0;
  if ((flags & 1) != 0) result |= IBV_SEND_SIGNALED;
  if ((flags & 2) != 0) result |= IBV_SEND_SOLICITED;
  if ((flags & 4) != 0) result |= IBV_SEND_FENCE;
  if ((flags & 8) != 0) result |= IBV_SEND_INLINE;
  return result;
}

/// Errors of the library's posting functions come as errno, negative errno or -1 with errno.
int Positive(int rc) { return rc == -1 ? errno : rc < 0 ? -rc : rc; }

class PairObject final : public Napi::ObjectWrap<PairObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "QueuePair",
                       {InstanceMethod<&PairObject::QpNumber>("number"), InstanceMethod<&PairObject::ToInit>("toInit"),
                        InstanceMethod<&PairObject::ToRtr>("toRtr"), InstanceMethod<&PairObject::ToRts>("toRts"),
                        InstanceMethod<&PairObject::ToState>("toState"), InstanceMethod<&PairObject::Query>("queryState"),
                        InstanceMethod<&PairObject::PostSend>("postSend"), InstanceMethod<&PairObject::Sender>("sender"),
                        InstanceMethod<&PairObject::PostReceive>("postReceive"), InstanceMethod<&PairObject::Guard>("guard"),
                        InstanceMethod<&PairObject::Destroy>("destroy")});
  }

  explicit PairObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PairObject>(info), handle_(TakeHandle<Pair>(info)) {}

 private:
  Napi::Value QpNumber(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), handle_.thing->number); }

  Napi::Value Modify(ibv_qp_attr attributes, int mask) {
    constexpr const char* kSyscall = "ibv_modify_qp";
    if (handle_.dead()) return Rejected(Env(), kSyscall, EBADF);
    auto pair = handle_.thing;
    return handle_.context->Verb(
        kSyscall,
        [library = &handle_.context->library(), pair, attributes, mask]() mutable {
          const int error = library->modify_qp(pair->raw, &attributes, mask | IBV_QP_STATE);
          if (error == 0) pair->state.store(attributes.qp_state, std::memory_order_release);
          return error < 0 ? EIO : error;
        },
        {}, {});
  }

  /// toInit(port, pkeyIndex, remoteWrite)
  Napi::Value ToInit(const Napi::CallbackInfo& info) {
    ibv_qp_attr a = {};
    a.qp_state = IBV_QPS_INIT;
    a.port_num = static_cast<uint8_t>(Number(info, 0));
    a.pkey_index = static_cast<uint16_t>(Number(info, 1));
    a.qp_access_flags = IBV_ACCESS_LOCAL_WRITE | (info[2].ToBoolean() ? IBV_ACCESS_REMOTE_WRITE : 0);
    return Modify(a, IBV_QP_PORT | IBV_QP_PKEY_INDEX | IBV_QP_ACCESS_FLAGS);
  }

  /// toRtr(pathMtu, destQpNumber, rqPsn, maxDestRdAtomic, minRnrTimer, port, sgidIndex, hopLimit, trafficClass, dgid)
  Napi::Value ToRtr(const Napi::CallbackInfo& info) {
    ibv_qp_attr a = {};
    a.qp_state = IBV_QPS_RTR;
    a.path_mtu = static_cast<int>(Number(info, 0));
    a.dest_qp_num = Number(info, 1);
    a.rq_psn = Number(info, 2);
    a.max_dest_rd_atomic = static_cast<uint8_t>(Number(info, 3));
    a.min_rnr_timer = static_cast<uint8_t>(Number(info, 4));
    a.ah_attr.port_num = static_cast<uint8_t>(Number(info, 5));
    a.ah_attr.sgid_index = static_cast<uint8_t>(Number(info, 6));
    a.ah_attr.hop_limit = static_cast<uint8_t>(Number(info, 7));
    a.ah_attr.traffic_class = static_cast<uint8_t>(Number(info, 8));
    a.ah_attr.is_global = 1;
    void* dgid = nullptr;
    size_t length = 0;
    if (napi_get_buffer_info(info.Env(), info[9], &dgid, &length) != napi_ok || length != sizeof a.ah_attr.dgid) {
      return Rejected(info.Env(), "ibv_modify_qp", EINVAL);
    }
    memcpy(a.ah_attr.dgid, dgid, length);
    return Modify(a, IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
  }

  /// toRts(sqPsn, timeout, retryCount, rnrRetry, maxRdAtomic)
  Napi::Value ToRts(const Napi::CallbackInfo& info) {
    ibv_qp_attr a = {};
    a.qp_state = IBV_QPS_RTS;
    a.sq_psn = Number(info, 0);
    a.timeout = static_cast<uint8_t>(Number(info, 1));
    a.retry_cnt = static_cast<uint8_t>(Number(info, 2));
    a.rnr_retry = static_cast<uint8_t>(Number(info, 3));
    a.max_rd_atomic = static_cast<uint8_t>(Number(info, 4));
    return Modify(a, IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC);
  }

  /// toState(isError): ERROR or RESET
  Napi::Value ToState(const Napi::CallbackInfo& info) {
    ibv_qp_attr a = {};
    a.qp_state = info[0].ToBoolean() ? IBV_QPS_ERR : IBV_QPS_RESET;
    return Modify(a, 0);
  }

  /// queryState() -> enum ibv_qp_state
  Napi::Value Query(const Napi::CallbackInfo& info) {
    constexpr const char* kSyscall = "ibv_query_qp";
    if (handle_.dead()) return Rejected(info.Env(), kSyscall, EBADF);
    auto state = std::make_shared<int>(0);
    return handle_.context->Verb(
        kSyscall,
        [library = &handle_.context->library(), raw = handle_.thing->raw, state] {
          ibv_qp_attr attributes = {};
          ibv_qp_init_attr unused = {};
          const int error = library->query_qp(raw, &attributes, IBV_QP_STATE, &unused);
          *state = attributes.qp_state;
          return error < 0 ? EIO : error;
        },
        {}, [state](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, *state); });
  }

  /// One request of SEND_WR's form; false for one that cannot be.
  bool Read(const uint32_t* words, ibv_send_wr* request, ibv_sge* part) {
    const uint32_t flags = words[2];
    if (words[1] > IBV_WR_SEND_WITH_IMM || (flags & ~kAllFlags) != 0) return false;
    *part = {Join(words[4], words[5]), words[6], words[7]};
    *request = {};
    request->wr_id = words[0];
    request->opcode = static_cast<int>(words[1]);
    request->imm_data = htobe32(words[3]);
    request->sg_list = part;
    request->num_sge = part->length > 0 ? 1 : 0;
    request->remote_addr = Join(words[8], words[9]);
    request->rkey = words[10];
    request->send_flags = SendFlags(flags);
    // Inline bytes are read by the processor, here and now: only from memory of this context may they come.
    if ((request->send_flags & IBV_SEND_INLINE) == 0) return true;
    return part->length <= handle_.thing->max_inline && (part->length == 0 || handle_.context->MayRead(part->addr, part->length));
  }

  static bool Read(const uint32_t* words, ibv_recv_wr* request, ibv_sge* part) {
    *part = {Join(words[2], words[3]), words[4], words[1]};
    *request = {words[0], nullptr, part, part->length > 0 ? 1 : 0};
    return true;
  }

  /// Posts `count` records in batches. How many were taken, or -errno when one could not be at all.
  template <typename Request, typename Reader, typename Poster>
  int Post(const uint32_t* words, size_t stride, size_t count, Reader read, Poster post) {
    size_t taken = 0;
    while (taken < count) {
      Request requests[kBatch];
      ibv_sge parts[kBatch];
      size_t size = 0;
      while (size < kBatch && taken + size < count && read(words + (taken + size) * stride, &requests[size], &parts[size])) {
        if (size > 0) requests[size - 1].next = &requests[size];
        size++;
      }
      const bool bad_record = size < kBatch && taken + size < count;
      Request* bad = nullptr;
      const int error = size == 0 ? 0 : Positive(post(handle_.thing->raw, requests, &bad));
      if (error != 0) {
        taken += bad == nullptr ? 0 : static_cast<size_t>(bad - requests);
        // The queue is full: no error but a value.
        return error == ENOMEM ? static_cast<int>(taken) : -error;
      }
      taken += size;
      if (bad_record) return -EINVAL;
    }
    return static_cast<int>(taken);
  }

  /// Records of one form, `stride` words each.
  struct Requests {
    uint32_t* words = nullptr;
    size_t length = 0;

    bool Are(Napi::Value value) { return Words(value, &words, &length); }
  };

  /// May `count` of these records be posted in state `least` or later? 0, or -errno.
  int May(const Requests& requests, size_t count, size_t stride, int least) const {
    if (handle_.dead()) return -EBADF;
    if (handle_.thing->state.load(std::memory_order_acquire) < least) return -EINVAL;
    return count <= requests.length / stride ? 0 : -EINVAL;
  }

  int Send(const Requests& requests, size_t count) {
    const int rc = May(requests, count, kSendWords, IBV_QPS_RTS);
    if (rc != 0) return rc;
    return Post<ibv_send_wr>(
        requests.words, kSendWords, count,
        [this](const uint32_t* from, ibv_send_wr* request, ibv_sge* part) { return Read(from, request, part); },
        handle_.thing->raw->context->ops.post_send);
  }

  int Receive(const Requests& requests, size_t count) {
    const int rc = May(requests, count, kReceiveWords, IBV_QPS_INIT);
    if (rc != 0) return rc;
    return Post<ibv_recv_wr>(
        requests.words, kReceiveWords, count,
        [](const uint32_t* from, ibv_recv_wr* request, ibv_sge* part) { return Read(from, request, part); },
        handle_.thing->raw->context->ops.post_recv);
  }

  /// postSend(requests, count) -> taken. Allocates nothing.
  Napi::Value PostSend(const Napi::CallbackInfo& info) {
    Requests requests;
    const int rc = handle_.dead() ? -EBADF : requests.Are(info[0]) ? Send(requests, Number(info, 1)) : -EINVAL;
    return Napi::Value(info.Env(), CountOrThrow(info.Env(), kPostSend, rc));
  }

  /// sender(requests) -> a function of `count` that is postSend() for them, for as long as they are not detached.
  Napi::Value Sender(const Napi::CallbackInfo& info) {
    Requests requests;
    if (!requests.Are(info[0])) return Napi::Value(info.Env(), CountOrThrow(info.Env(), kPostSend, -EINVAL));
    constexpr auto call = [](napi_env env, Bound<PairObject, Requests>* bound, napi_value argument) {
      uint32_t count = 0;
      if (napi_get_value_uint32(env, argument, &count) != napi_ok) count = 0;
      return CountOrThrow(env, kPostSend, bound->object->Send(bound->state, count));
    };
    return Bind<call>(info, "postSend", this, requests);
  }

  /// postReceive(requests, count) -> taken. Allocates nothing.
  Napi::Value PostReceive(const Napi::CallbackInfo& info) {
    Requests requests;
    const int rc = handle_.dead() ? -EBADF : requests.Are(info[0]) ? Receive(requests, Number(info, 1)) : -EINVAL;
    return Napi::Value(info.Env(), CountOrThrow(info.Env(), "ibv_post_recv", rc));
  }

  /// guard(testLink, receive, slotBytes, slots, firstId, answer, answerAt) -> 0 or -errno. Once; see stall_guard.h.
  Napi::Value Guard(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), -StartGuard(info));
  }

  int StartGuard(const Napi::CallbackInfo& info) {
    if (handle_.dead()) return EBADF;
    Pair& pair = *handle_.thing;
    const auto receive = RegionOf(info[1]);
    const auto answer = RegionOf(info[5]);
    if (receive == nullptr || answer == nullptr) return EBADF;
    GuardedPair guarded;
    guarded.raw = pair.raw;
    guarded.number = pair.number;
    guarded.test_link = static_cast<uint8_t>(Number(info, 0));
    guarded.slot_bytes = Number(info, 2);
    guarded.slots = Number(info, 3);
    guarded.first_id = Number(info, 4);
    const uint64_t at = Number(info, 6);
    const bool fits = uint64_t{guarded.slot_bytes} * guarded.slots <= receive->mapping->length &&
                      at + Completions::kAnswerBytes <= answer->mapping->length;
    // An answer completes where receives do, or nobody would know it for one.
    if (!fits || guarded.slot_bytes == 0 || pair.send != pair.receive) return EINVAL;
    guarded.receive = static_cast<const uint8_t*>(receive->mapping->address);
    guarded.receive_lkey = receive->raw->lkey;
    guarded.answer = static_cast<uint8_t*>(answer->mapping->address) + at;
    guarded.answer_lkey = answer->raw->lkey;
    guarded.memory = std::make_shared<std::pair<std::shared_ptr<Mapping>, std::shared_ptr<Mapping>>>(receive->mapping, answer->mapping);
    pair.receive->completions->Unguard(pair.number);
    pair.receive->completions->Guard(std::move(guarded));
    return handle_.context->environment().Guard(pair.receive);
  }

  Napi::Value Destroy(const Napi::CallbackInfo& info) {
    if (handle_.dead()) return Rejected(info.Env(), "ibv_destroy_qp", EBADF);
    return handle_.context->Release("ibv_destroy_qp", handle_.thing);
  }

  Handle<Pair> handle_;
};

}  // namespace

/// createQueuePair(sendQueue, receiveQueue, maxSend, maxReceive, maxInline) -> QueuePair
Napi::Value CreateQueuePair(const Napi::CallbackInfo& info, const Handle<Domain>& domain) {
  constexpr const char* kSyscall = "ibv_create_qp";
  Context* context = domain.context;
  auto pair = std::make_shared<Pair>();
  pair->domain = domain.thing;
  pair->send = QueueOf(info[0]);
  pair->receive = QueueOf(info[1]);
  if (pair->send->gone || pair->receive->gone) return Rejected(info.Env(), kSyscall, EBADF);
  // Queues of another device would reach the library as pointers of a foreign provider.
  if (!context->queues.contains(pair->send) || !context->queues.contains(pair->receive)) return Rejected(info.Env(), kSyscall, EINVAL);
  ibv_qp_init_attr attributes = {};
  attributes.send_cq = pair->send->raw;
  attributes.recv_cq = pair->receive->raw;
  attributes.cap = {Number(info, 2), Number(info, 3), 1, 1, Number(info, 4)};
  attributes.qp_type = IBV_QPT_RC;
  for (size_t* users : {&pair->domain->users, &pair->send->users, &pair->receive->users}) ++*users;
  return context->Verb(
      kSyscall,
      [library = &context->library(), pd = domain.thing->raw, attributes, pair]() mutable {
        errno = 0;
        pair->raw = library->create_qp(pd, &attributes);
        if (pair->raw == nullptr) return errno == 0 ? EIO : errno;
        pair->number = pair->raw->qp_num;
        pair->max_inline = attributes.cap.max_inline_data;
        return 0;
      },
      [context, pair](int& error) {
        if (error == 0) {
          context->pairs.insert(pair);
        } else {
          for (size_t* users : {&pair->domain->users, &pair->send->users, &pair->receive->users}) --*users;
        }
      },
      [context, pair](Napi::Env) { return MakeHandle(context->environment().queue_pair, context, pair); });
}

void Context::Destroy(const std::shared_ptr<Pair>& pair, ControlThread::Done done) {
  pair->gone = true;
  // From here on nobody else posts to it.
  pair->receive->completions->Unguard(pair->number);
  // Jobs run in order: whoever destroys the queues after this call finds the pair gone.
  for (size_t* users : {&pair->domain->users, &pair->send->users, &pair->receive->users}) --*users;
  Submit(
      [library = library_, raw = pair->raw, state = pair] {
        // Requests under way end before their memory may: a pair that is not in RESET goes through ERROR.
        ibv_qp_attr attributes = {};
        attributes.qp_state = IBV_QPS_ERR;
        if (state->state.load(std::memory_order_acquire) != IBV_QPS_RESET) library->modify_qp(raw, &attributes, IBV_QP_STATE);
        return library->destroy_qp(raw);
      },
      [this, pair, done = std::move(done)](int error) {
        if (error == 0) {
          for (Queue* queue : {pair->send.get(), pair->receive.get()}) {
            if (!queue->gone) queue->completions->Forget(pair->number);
          }
          pairs.erase(pair);
        }
        done(error);
      });
}

void InitQueuePair(Napi::Env env) { Environment::Get(env)->queue_pair = Napi::Persistent(PairObject::Define(env)); }

}  // namespace smcr

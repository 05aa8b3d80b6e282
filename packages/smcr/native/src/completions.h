// completions.h - what completed on one queue, in order: what was taken from the device already, then what is there. Polled by the
// loop, and by the stall guard while the loop does not come round; one at a time, under a lock. Nothing of Node in here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "library.h"

namespace smcr {

/// A queue pair whose peer must not notice that the loop does not come round. All of it stays as it is.
struct GuardedPair {
  abi::ibv_qp* raw = nullptr;
  uint32_t number = 0;
  /// Where its receives lie: `slots` of `slot_bytes`, posted with ids from `first_id` on.
  const uint8_t* receive = nullptr;
  uint32_t receive_lkey = 0;
  uint32_t slot_bytes = 0;
  uint32_t slots = 0;
  uint32_t first_id = 0;
  /// Room for one answer.
  uint8_t* answer = nullptr;
  uint32_t answer_lkey = 0;
  /// First byte of a TEST LINK of this link's version.
  uint8_t test_link = 0;
  /// What keeps both mapped.
  std::shared_ptr<void> memory;
  /// An answer is under way: its room is in use.
  bool answering = false;
};

class Completions {
 public:
  /// A completion as the loop gets it.
  struct Taken {
    abi::ibv_wc completion;
    /// Of a kept message, in the room.
    size_t at;
    /// The receive was posted again already, and its message lies in the room.
    bool kept;
    /// A TEST LINK that has its answer: there is nothing left to do but to note that the peer lives.
    bool answered;
  };

  /// What the guard did in a round.
  struct Served {
    size_t answered = 0;
    size_t kept = 0;
  };

  /// The library, the queue and its channel are used until Close.
  Completions(const Library& library, abi::ibv_cq* queue, abi::ibv_comp_channel* channel);

  /// Room for one answer: TEST LINK has 44 bytes.
  static constexpr uint32_t kAnswerBytes = 64;

  // From the loop.

  /// Fills up to `most`; kept messages are copied to `room`, from `*used` on. Fewer when there are no more, or no room for the next.
  /// How many, or -errno. TEST LINKs of guarded pairs are answered here: among what was taken one would wait for what is handled
  /// before it. Allocates nothing.
  int Take(Taken* out, size_t most, uint8_t* room, size_t bytes, size_t* used);
  /// Drops what completed for a queue pair that is destroyed; what is others' stays, in order.
  void Forget(uint32_t pair);
  void Guard(GuardedPair pair);
  /// Nothing of the pair is touched any more when this returns.
  void Unguard(uint32_t pair);
  bool guarded();
  /// Something waits that has no event: the guard has taken it.
  bool waiting();
  void Close();

  // From the guard's thread.

  /// Answers TEST LINKs, keeps all else for the loop and posts the receives again, until the device has no more and the queue is armed.
  Served Serve();
  /// Readable when something completes after Serve; -1 when there is nothing to wait for.
  int channel();

 private:
  struct Waiting {
    abi::ibv_wc completion;
    /// The message of a receive that was posted again.
    std::unique_ptr<uint8_t[]> bytes;
    bool answered;
  };

  // All of these with the lock held.
  int Poll(abi::ibv_wc* batch, int most);
  GuardedPair* Find(uint32_t number);
  /// An answer of ours is done; not for the loop.
  bool IsOwn(const abi::ibv_wc& completion);
  /// The pair whose message lies in its receive slot; nullptr when it is something else.
  GuardedPair* Receiver(const abi::ibv_wc& completion);
  void Keep(const abi::ibv_wc& completion, std::unique_ptr<uint8_t[]> bytes, bool answered);
  void TakeEvents();
  bool ServeAll(Served* served);
  void ServeOne(const abi::ibv_wc& completion, Served* served);
  /// False for what is no TEST LINK, and for one that cannot be answered now.
  static bool Answer(GuardedPair& pair, const abi::ibv_wc& completion);
  static bool PostAgain(const GuardedPair& pair, const abi::ibv_wc& completion);

  const Library& library_;
  std::mutex mutex_;
  abi::ibv_cq* queue_;
  abi::ibv_comp_channel* channel_;
  bool channel_broken_ = false;
  std::deque<Waiting> waiting_;
  /// Of the messages in there.
  size_t waiting_bytes_ = 0;
  std::vector<GuardedPair> pairs_;
};

}  // namespace smcr

// library.h - libibverbs, opened at run time. A machine without it, or with one that is too old, gets a reason.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "verbs_abi.h"

namespace smcr {

/// The functions that are used. Those of the hot path are in each context's `ops` instead.
struct Library {
  abi::ibv_device** (*get_device_list)(int* count);
  void (*free_device_list)(abi::ibv_device** list);
  const char* (*get_device_name)(abi::ibv_device*);
  uint64_t (*get_device_guid)(abi::ibv_device*);  // network byte order
  abi::ibv_context* (*open_device)(abi::ibv_device*);
  int (*close_device)(abi::ibv_context*);
  int (*query_device)(abi::ibv_context*, abi::ibv_device_attr*);
  int (*query_port)(abi::ibv_context*, uint8_t port, abi::ibv_port_attr*);
  ssize_t (*query_gid_table)(abi::ibv_context*, abi::ibv_gid_entry*, size_t entries, uint32_t flags, size_t entry_size);
  int (*get_async_event)(abi::ibv_context*, abi::ibv_async_event*);
  void (*ack_async_event)(abi::ibv_async_event*);
  abi::ibv_pd* (*alloc_pd)(abi::ibv_context*);
  int (*dealloc_pd)(abi::ibv_pd*);
  abi::ibv_mr* (*reg_mr)(abi::ibv_pd*, void* address, size_t length, int access);
  int (*dereg_mr)(abi::ibv_mr*);
  abi::ibv_comp_channel* (*create_comp_channel)(abi::ibv_context*);
  int (*destroy_comp_channel)(abi::ibv_comp_channel*);
  abi::ibv_cq* (*create_cq)(abi::ibv_context*, int entries, void* context, abi::ibv_comp_channel*, int vector);
  int (*destroy_cq)(abi::ibv_cq*);
  int (*get_cq_event)(abi::ibv_comp_channel*, abi::ibv_cq**, void** context);
  void (*ack_cq_events)(abi::ibv_cq*, unsigned count);
  abi::ibv_qp* (*create_qp)(abi::ibv_pd*, abi::ibv_qp_init_attr*);
  int (*modify_qp)(abi::ibv_qp*, abi::ibv_qp_attr*, int mask);
  int (*query_qp)(abi::ibv_qp*, abi::ibv_qp_attr*, int mask, abi::ibv_qp_init_attr*);
  int (*destroy_qp)(abi::ibv_qp*);
  int (*fork_init)();
};

struct DeviceName {
  std::string name;
  std::string guid;  // 16 hex digits
};

/// Opens and checks the library. nullptr with `why` set when it cannot be used.
std::unique_ptr<const Library> OpenLibrary(std::string* why);

/// The devices there are now; -errno on failure.
int ListDevices(const Library& library, std::vector<DeviceName>* out);

/// Opens a device by name and checks what can be seen of the structures. nullptr with `error` set to an errno.
abi::ibv_context* OpenDevice(const Library& library, const std::string& name, abi::ibv_device_attr* attributes, int* error);

}  // namespace smcr

// library.cc - opens libibverbs by its versioned symbols and checks that its structures are those of verbs_abi.h.

#include "library.h"

#include <dlfcn.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace smcr {
namespace {

using namespace abi;

constexpr const char* kFile = "libibverbs.so.1";

/// Fetches functions by name and version; remembers the first that is not there.
class Symbols {
 public:
  explicit Symbols(void* library) : library_(library) {}

  template <typename Function>
  void Get(Function*& out, const char* name, const char* version = "IBVERBS_1.1") {
    out = reinterpret_cast<Function*>(dlvsym(library_, name, version));
    if (out == nullptr && missing_.empty()) missing_ = std::string(name) + "@" + version;
  }

  const std::string& missing() const { return missing_; }

 private:
  void* library_;
  std::string missing_;
};

/// Whether the structures of an open context are laid out as we believe: everything we can compare with another answer.
bool Plausible(const Library& library, const ibv_context* context, const ibv_device* device) {
  if (context->device != device || strcmp(device->name, library.get_device_name(context->device)) != 0) return false;
  // Extended contexts, since 2012, have all bits set here: the field lies behind everything else we use.
  if (context->abi_compat != reinterpret_cast<void*>(UINTPTR_MAX) || context->num_comp_vectors < 1) return false;
  if (fcntl(context->cmd_fd, F_GETFD) < 0 || fcntl(context->async_fd, F_GETFD) < 0) return false;
  const ibv_context_ops& ops = context->ops;
  return ops.poll_cq != nullptr && ops.req_notify_cq != nullptr && ops.post_send != nullptr && ops.post_recv != nullptr;
}

/// ibv_query_device must fill exactly the structure we declare: a guard behind it stays as it was.
int QueryDevice(const Library& library, ibv_context* context, ibv_device_attr* out) {
  struct {
    ibv_device_attr attributes;
    uint8_t guard[64];
  } filled;
  memset(&filled, 0xa5, sizeof filled);
  const int rc = library.query_device(context, &filled.attributes);
  if (rc != 0) return rc < 0 ? errno : rc;
  for (uint8_t byte : filled.guard) {
    if (byte != 0xa5) return EPROTO;
  }
  const ibv_device_attr& a = filled.attributes;
  if (a.phys_port_cnt == 0xa5 || a.max_qp <= 0 || a.max_qp_wr <= 0 || a.max_cqe <= 0) return EPROTO;
  *out = a;
  return 0;
}

}  // namespace

std::unique_ptr<const Library> OpenLibrary(std::string* why) {
  // Providers stay loaded with threads and handlers of their own: never unloaded again.
  void* handle = dlopen(kFile, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    *why = dlerror();
    return nullptr;
  }
  auto library = std::make_unique<Library>();
  Symbols symbols(handle);
  symbols.Get(library->get_device_list, "ibv_get_device_list");
  symbols.Get(library->free_device_list, "ibv_free_device_list");
  symbols.Get(library->get_device_name, "ibv_get_device_name");
  symbols.Get(library->get_device_guid, "ibv_get_device_guid");
  symbols.Get(library->open_device, "ibv_open_device");
  symbols.Get(library->close_device, "ibv_close_device");
  symbols.Get(library->query_device, "ibv_query_device");
  symbols.Get(library->query_port, "ibv_query_port");
  symbols.Get(library->query_gid_table, "_ibv_query_gid_table", "IBVERBS_1.11");
  symbols.Get(library->get_async_event, "ibv_get_async_event");
  symbols.Get(library->ack_async_event, "ibv_ack_async_event");
  symbols.Get(library->alloc_pd, "ibv_alloc_pd");
  symbols.Get(library->dealloc_pd, "ibv_dealloc_pd");
  symbols.Get(library->reg_mr, "ibv_reg_mr");
  symbols.Get(library->dereg_mr, "ibv_dereg_mr");
  symbols.Get(library->create_comp_channel, "ibv_create_comp_channel", "IBVERBS_1.0");
  symbols.Get(library->destroy_comp_channel, "ibv_destroy_comp_channel", "IBVERBS_1.0");
  symbols.Get(library->create_cq, "ibv_create_cq");
  symbols.Get(library->destroy_cq, "ibv_destroy_cq");
  symbols.Get(library->get_cq_event, "ibv_get_cq_event");
  symbols.Get(library->ack_cq_events, "ibv_ack_cq_events");
  symbols.Get(library->create_qp, "ibv_create_qp");
  symbols.Get(library->modify_qp, "ibv_modify_qp");
  symbols.Get(library->query_qp, "ibv_query_qp");
  symbols.Get(library->destroy_qp, "ibv_destroy_qp");
  symbols.Get(library->fork_init, "ibv_fork_init");
  if (!symbols.missing().empty()) {
    *why = std::string(kFile) + " has no " + symbols.missing() + "; rdma-core 32 or newer is needed";
    return nullptr;
  }
  // Where a fork would take pinned pages away from the parent (Linux before 5.12) the provider's own queues are kept out of
  // it. Nothing happens on newer kernels, nor when verbs were used in this process before.
  library->fork_init();
  return library;
}

int ListDevices(const Library& library, std::vector<DeviceName>* out) {
  int count = 0;
  ibv_device** list = library.get_device_list(&count);
  if (list == nullptr) return errno == 0 ? -EIO : -errno;
  for (int i = 0; i < count; i++) {
    char guid[17];
    snprintf(guid, sizeof guid, "%016" PRIx64, be64toh(library.get_device_guid(list[i])));
    out->push_back({library.get_device_name(list[i]), guid});
  }
  library.free_device_list(list);
  return 0;
}

ibv_context* OpenDevice(const Library& library, const std::string& name, ibv_device_attr* attributes, int* error) {
  int count = 0;
  ibv_device** list = library.get_device_list(&count);
  if (list == nullptr) {
    *error = errno == 0 ? EIO : errno;
    return nullptr;
  }
  ibv_context* context = nullptr;
  *error = ENODEV;
  for (int i = 0; i < count && context == nullptr; i++) {
    if (name != library.get_device_name(list[i])) continue;
    errno = 0;
    context = library.open_device(list[i]);
    *error = context != nullptr ? 0 : errno == 0 ? EIO : errno;
    if (context == nullptr) break;
    *error = Plausible(library, context, list[i]) ? QueryDevice(library, context, attributes) : EPROTO;
  }
  library.free_device_list(list);
  if (context != nullptr && *error != 0) {
    library.close_device(context);
    context = nullptr;
  }
  return context;
}

}  // namespace smcr

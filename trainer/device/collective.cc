#include "trainer/device/collective.h"

#include <chrono>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace llmctl {
namespace {

// All ranks are there when they connect to each other.
constexpr auto kConnectTimeout = std::chrono::seconds(60);
// A step of the slowest rank, or a wait for its lease, lies between two operations.
constexpr auto kOperationTimeout = std::chrono::minutes(30);

}  // namespace

struct Collective::Group {
  Meeting meeting;
  c10::intrusive_ptr<c10d::Backend> host, gpu;  // gpu: none on the CPU
};

Collective::Collective(std::unique_ptr<Group> group, int64_t rank, int64_t size)
    : group_(std::move(group)), rank_(rank), size_(size) {}
Collective::~Collective() = default;
Collective::Collective(Collective&&) noexcept = default;
Collective& Collective::operator=(Collective&&) noexcept = default;

// The address of this machine that faces the master: the one its peers can reach.
static std::string address_toward(const std::string& host) {
  addrinfo hints = {}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  if (getaddrinfo(host.c_str(), "1", &hints, &found) != 0) return host;
  std::string address = host;
  const int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0) {  // sends nothing
    sockaddr_storage own = {};
    socklen_t bytes = sizeof own;
    char text[NI_MAXHOST];
    auto* any = reinterpret_cast<sockaddr*>(&own);
    if (getsockname(fd, any, &bytes) == 0 &&
        getnameinfo(any, bytes, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0) {
      address = text;
    }
  }
  if (fd >= 0) close(fd);
  freeaddrinfo(found);
  return address;
}

static c10::intrusive_ptr<c10d::Backend> gloo(const c10::intrusive_ptr<c10d::Store>& store,
                                              const RunConfig& config) {
  auto options = c10d::ProcessGroupGloo::Options::create(kConnectTimeout);
  options->threads = 1;
  options->devices.push_back(
      c10d::ProcessGroupGloo::createDeviceForHostname(address_toward(config.master_addr)));
  auto group =
      c10::make_intrusive<c10d::ProcessGroupGloo>(store, config.rank, config.world_size, options);
  group->setTimeout(kOperationTimeout);
  return group;
}

#ifdef USE_C10D_NCCL
static c10::intrusive_ptr<c10d::Backend> nccl(const c10::intrusive_ptr<c10d::Store>& store,
                                              const RunConfig& config) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = kOperationTimeout;
  const auto own_keys = c10::make_intrusive<c10d::PrefixStore>("nccl", store);
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(own_keys, config.rank, config.world_size,
                                                     options);
}
#endif

Result<Collective> Collective::join(const RunConfig& config,
                                    at::Device device,
                                    const WaitFn& wait) {
  if (config.world_size == 1) return Collective(nullptr, 0, 1);
  auto group = std::make_unique<Group>();
  group->meeting = TRY(meet(config, wait));
  wait("connect the ranks");
  try {
    group->host = gloo(group->meeting.store, config);
#ifdef USE_C10D_NCCL
    if (device.is_cuda()) group->gpu = nccl(group->meeting.store, config);
#else
    CHECK(device.is_cpu());
#endif
    return Collective(std::move(group), config.rank, config.world_size);
  } catch (const std::exception& e) {
    return Error{Code::unavailable, std::string("ranks cannot connect to each other: ") + e.what(),
                 "they use random TCP ports between their workers: does a firewall let them?"};
  }
}

Result<std::vector<std::string>> Collective::exchange(const std::string& name,
                                                      const std::string& value,
                                                      const WaitFn& wait) {
  if (!group_) return std::vector<std::string>{value};
  return llmctl::exchange(group_->meeting, name, value, wait);
}

void Collective::sum(at::Tensor& tensor) {
  if (!group_) return;
  std::vector<at::Tensor> tensors = {tensor};
  const auto& backend = tensor.is_cpu() ? group_->host : group_->gpu;
  backend->allreduce(tensors)->wait();
}

}  // namespace llmctl

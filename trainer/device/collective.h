// What the ranks of one attempt do together, over c10d: Gloo for tensors in host memory, NCCL for
// those on a GPU. Rank 0 hosts the rendezvous store at master_addr:master_port; keys carry (job,
// epoch), so ranks of an older attempt never meet these. With one rank every operation does
// nothing. One thread calls it. When a peer is gone or silent past the timeout, Gloo's operation
// throws c10d's exception, caught in main; NCCL's watchdog ends the process instead, as a crash.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/run/run_config.h"
#include "trainer/device/meeting.h"
#include "trainer/device/tensor.h"

namespace llmctl {

class Collective {
 public:
  // Waits for all ranks; unavailable when they do not meet in time, or cannot: with the reason.
  static Result<Collective> join(const RunConfig& config, at::Device device, const WaitFn& wait);
  ~Collective();
  Collective(Collective&&) noexcept;
  Collective& operator=(Collective&&) noexcept;

  int64_t rank() const { return rank_; }
  int64_t size() const { return size_; }
  // What every rank says under this name, by rank: waits for the slowest, however long it takes.
  Result<std::vector<std::string>> exchange(const std::string& name,
                                            const std::string& value,
                                            const WaitFn& wait);
  // In place, over all ranks. On a GPU it is enqueued, like any operator.
  void sum(at::Tensor& tensor);

 private:
  struct Group;
  Collective(std::unique_ptr<Group> group, int64_t rank, int64_t size);
  std::unique_ptr<Group> group_;  // none: one rank
  int64_t rank_ = 0, size_ = 1;
};

}  // namespace llmctl

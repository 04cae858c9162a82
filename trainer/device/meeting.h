// How the ranks of an attempt find each other, over the store that rank 0 serves at
// master_addr:master_port: a rank says that it is here, and later what it has found; nobody goes on
// before all have said so. Keys carry (job, epoch), so ranks of an older attempt never meet these.
// While it waits it tells for whom, and why a host cannot be reached. One thread.
#pragma once

#include <functional>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "core/run/run_config.h"

namespace llmctl {

// Called several times a second with what is waited for.
using WaitFn = std::function<void(const std::string&)>;

struct Meeting {
  c10::intrusive_ptr<c10d::Store> store;
  int64_t rank = 0, size = 1;
  std::string where;  // host:port
};

// With all ranks at it. unavailable: which ranks did not come in time, or why the host cannot be
// reached.
Result<Meeting> meet(const RunConfig& config, const WaitFn& wait);

// What every rank says under this name, by rank; waits as long as it takes. Once for each name.
// unavailable: rank 0 is gone.
Result<std::vector<std::string>> exchange(const Meeting& meeting,
                                          const std::string& name,
                                          const std::string& value,
                                          const WaitFn& wait);

// Whether a TCP connection can be made; else why not: "cannot resolve gpu-7: …". Takes up to two
// seconds for each of its addresses.
Status try_to_reach(const std::string& host, int32_t port);

}  // namespace llmctl

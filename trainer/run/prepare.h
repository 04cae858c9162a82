// What an attempt trains with, and how it comes to be: data, ranks, model, optimizer, and where the
// run stands, which is where its newest checkpoint left it. Owned by the attempt; one thread.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/run/run_config.h"
#include "trainer/data/batches.h"
#include "trainer/device/collective.h"
#include "trainer/device/cpu_pins.h"
#include "trainer/model/model.h"
#include "trainer/model/pass_graph.h"
#include "trainer/optim/optimizer.h"
#include "trainer/run/data_feed.h"
#include "trainer/run/reports/report.h"
#include "trainer/run/saving/saver.h"
#include "trainer/run/saving/train_state.h"

namespace llmctl {

struct PreparedRun {
  PreparedRun(const RunConfig& run_config, at::Device opened)
      : config(run_config), device(opened) {}
  bool first_rank() const { return ranks->rank() == 0; }  // the one that tells and saves

  const RunConfig& config;  // outlives this
  at::Device device;
  std::unique_ptr<Batches> batches;
  std::optional<Collective> ranks;
  std::unique_ptr<DataFeed> feed;
  std::unique_ptr<Model> model;
  std::unique_ptr<PassGraph> pass;  // the model's forward and backward
  std::unique_ptr<Optimizer> optimizer;
  RunIdentity identity;
  TrainState state;
  int64_t steps = 0;           // planned; 0: only time ends the run
  double device_flops = 0;     // per second, of all ranks; 0: unknown
  at::Tensor checkpoint_copy;  // for checkpoints in the background; undefined: there is no room
  std::unique_ptr<CpuPins> pins = std::make_unique<CpuPins>();
  std::vector<int> cpus;  // that threads stay on; empty: on none in particular
};

// In this order, the same on all ranks: meet the other ranks, read the data, see that all have the
// same, measure the device, build model and optimizer, and restore the newest checkpoint or begin
// anew. `saver` finds it.
Result<PreparedRun> prepare(const RunConfig& config,
                            at::Device device,
                            Saver& saver,
                            Reporter& report);

}  // namespace llmctl

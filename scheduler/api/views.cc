#include "scheduler/api/views.h"

#include <algorithm>

#include "proto/checks.h"
#include "proto/convert.h"
#include "scheduler/store/job_row.h"

namespace llmctl {
namespace {

std::string worker_state(const Worker& worker, bool idle) {
  if (worker.lost) return "lost";
  if (!worker.connected) return "disconnected";
  if (!worker.draining) return "ready";
  return idle ? "drained" : "draining";
}

}  // namespace

v1::Job job_view(const State& state, const Job& job) {
  v1::Job out = job_summary(state, job);
  out.set_spec_json(wire::utf8(job.spec.text()));
  return out;
}

v1::Worker worker_view(const State& state, const Worker& worker, Millis boot_ms) {
  v1::Worker out;
  out.set_id(worker.id.value);
  out.set_name(worker.name);
  *out.mutable_inventory() = to_wire(worker.inventory);
  bool idle = true;
  for (int i = 0; i < out.inventory().devices_size(); ++i) {
    const Promised used =
        promised(state, worker.id, worker.inventory.devices[static_cast<size_t>(i)]);
    out.mutable_inventory()->mutable_devices(i)->set_memory_promised(used.bytes);
    out.mutable_inventory()->mutable_devices(i)->set_slots_used(used.ranks);
    idle = idle && used.ranks == 0;
  }
  out.set_state(worker_state(worker, idle));
  out.set_seen_ms_ago(std::max<Millis>(boot_ms - worker.seen_boot_ms, 0));
  const auto load = state.index.loads.find(worker.id);
  if (load == state.index.loads.end()) return out;
  JobId last;  // ranks come in the order of their jobs
  for (const auto& [job, rank] : load->second.ranks) {
    if (job != last) out.add_job_ids(job.value);
    last = job;
  }
  return out;
}

}  // namespace llmctl

// JobMetrics: the Prometheus series of single jobs. A job has series from its first attempt until
// five minutes after its end, so that a scrape sees the last values and `job_id` stays bounded.
// Owned by SchedulerMetrics; called by the loop thread only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "metrics/families.h"
#include "scheduler/heart/state.h"

namespace llmctl {

std::string state_label(JobState state);  // "queued": label values are lower case

class JobMetrics {
 public:
  explicit JobMetrics(prometheus::Registry& registry);
  ~JobMetrics();

  void load(const Job& job);  // a live job found at start
  // `job` is null when it has already left State.
  void observe(const Event& event, const Job* job, Millis boot_ms);
  void drop_ended(Millis boot_ms);

 private:
  struct Families;
  struct OneJob;

  OneJob* begin(const Job& job);
  void moved(OneJob& one, const JobMoved& move, Millis boot_ms);
  void progressed(OneJob& one, const Progressed& progress);
  void place(OneJob& one, const Job& job);

  std::unique_ptr<Families> families_;
  prometheus::Counter& refused_;
  std::map<JobId, OneJob> jobs_;
};

}  // namespace llmctl

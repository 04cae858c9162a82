// Checkers: the promises of the scheduler, each held against what the world has seen. They know
// only committed events, answers and runs, and keep their own small model of every job.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "scheduler/heart/decide.h"

namespace llmctl::sim {

class Checkers {
 public:
  void complain(std::string problem);
  const std::vector<std::string>& problems() const { return problems_; }

  void sound(const State& state);      // memory is never promised twice, the index follows
  void committed(const Event& event);  // in order: seqs, legal moves, epochs, gangs, commits
  void replayed(const State& live, const State& replay);  // a restart finds what there was
  void acknowledged(const std::string& key, JobId job);   // no job is lost, one job per key
  void cancel_acknowledged(JobId job);                    // cancel wins
  void works(const std::string& cluster,
             JobId job,
             Epoch epoch);  // a run that may have effects, now
  // A process that lives on a device, wanted or not, working or not.
  void occupies(const std::string& place, const Device& device, Bytes bytes);
  void step_over();
  // The scheduler hears again: nobody may be given up for what it could not hear before.
  void woke(Millis now) { woke_boot_ms_ = now; }
  void forget();  // the store is gone, and its jobs with it
  void at_the_end();

  const std::map<JobId, JobState>& states() const { return states_; }

 private:
  void moved(const Event& event, const JobMoved& move);
  void granted(const Event& event, const AttemptGranted& grant);

  std::vector<std::string> problems_;
  int64_t last_seq_ = 0;
  Millis woke_boot_ms_ = 0;
  std::map<JobId, JobState> states_;
  std::map<JobId, JobSpec> specs_;
  std::map<JobId, Epoch> epochs_;
  std::map<JobId, std::set<int32_t>> ranks_left_;  // of the newest attempt
  std::map<std::string, JobId> keys_, acknowledged_;
  std::set<JobId> canceled_;
  std::map<std::pair<std::string, JobId>, Epoch> working_;  // by cluster and job
  std::map<std::string, Promised> occupied_;                // by worker and device
};

}  // namespace llmctl::sim

// The store: what must outlive the process. Store is the writing half and belongs to the loop
// thread; Archive is the reading half (history, finished jobs, series) and belongs to the archive
// thread. SQLite is the first home, PostgreSQL the second.
//
// Writes gather in one open transaction: append/put…, then commit() makes all of them durable or
// none. An error at any point means that nothing since the last commit() counts: call rollback()
// and load() again. resource_exhausted = no space; data_loss = stop the process.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "llmctl/v1/scheduler.pb.h"
#include "scheduler/heart/state.h"

namespace llmctl {

// What lists and finished jobs are answered from.
struct JobRecord {
  v1::Job job;  // as `Get` answers it, without spec_json
  std::string idempotency_key;
  std::map<std::string, std::string> labels;
  bool finished = false;  // has left State
};

struct MetricPoint {
  JobId job;
  std::string name;
  int64_t step = 0;
  Millis unix_ms = 0;
  double value = 0;
};

struct KeyOwner {
  JobId job;
  std::string spec_json;
};

class Store {
 public:
  virtual ~Store() = default;

  // State as of the last commit: the events of live jobs and of workers folded over an empty
  // State, then profiles and counters.
  virtual Result<State> load() = 0;

  virtual Status append(const Event& event) = 0;  // Requires: is_durable(event), next seq
  virtual Status put_job(const JobRecord& record) = 0;
  virtual Status put_profile(const std::string& key, const Profile& profile) = 0;
  virtual Status put_points(const std::vector<MetricPoint>& points) = 0;
  virtual Status commit() = 0;  // fsynced when it returns; nothing open: no work
  virtual void rollback() = 0;

  // Sees the open transaction too.
  virtual Result<std::optional<KeyOwner>> find_key(const std::string& idempotency_key) = 0;
};

struct JobQuery {
  std::vector<std::string> states;  // empty: all
  std::string name_contains;
  std::map<std::string, std::string> labels;
  int64_t after_id = 0;  // continue after this one; 0: from the beginning
  int page_size = 100;
  bool oldest_first = false;
};

struct SeriesQuery {
  JobId job;
  std::vector<std::string> names;  // empty: all
  int max_points = 0;              // 0: all; else buckets that keep their minimum and maximum
};

// Where one rank of an attempt runs or ran.
struct RankPlace {
  Epoch epoch;
  WorkerId worker;
};

struct JobPage {
  std::vector<v1::Job> jobs;
  bool more = false;  // the page is full, by rows or by bytes
};

class Archive {
 public:
  virtual ~Archive() = default;
  virtual Result<v1::Job> job(JobId id) = 0;  // with spec_json and last_seq; not_found
  virtual Result<v1::JobSubmitted> submission(JobId id) = 0;  // not_found
  virtual Result<JobPage> jobs(const JobQuery& query) = 0;
  // In order, seq >= from; job 0: of all. At most `limit`. out_of_range: some of them were
  // compacted away; the hint says from where on none was.
  virtual Result<std::vector<v1::Event>> events(Seq from, JobId job, int limit) = 0;
  // Epoch 0: the newest attempt.
  virtual Result<RankPlace> place_of_rank(JobId job, Epoch epoch, int32_t rank) = 0;
  virtual Result<std::vector<v1::Series>> series(const SeriesQuery& query) = 0;
};

}  // namespace llmctl

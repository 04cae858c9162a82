// The gRPC edge of the CLI: the only file here (with client.cc) that sees gRPC or generated code.
// Blocking calls with a deadline; nothing is opened before the first call. Errors carry the
// scheduler's code and message and a hint for the reader. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/screen/view.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "proto/endpoint.h"

namespace llmctl {

struct ListFilter {
  std::vector<std::string> states;  // empty: all
  std::string name_contains;
  std::vector<std::pair<std::string, std::string>> labels;
  size_t limit = 100;     // rows, newest first; pages are fetched as needed
  int64_t oldest_id = 0;  // older jobs are not wanted
};

struct WatchQuery {
  int64_t job_id = 0;    // 0: everything
  int64_t from_seq = 0;  // first wanted; 0: only what comes
  bool progress = false;
  bool until_done = false;  // ends with the job
  bool until_now = false;   // ends once all that has happened is told
};

struct LogsQuery {
  int64_t job_id = 0;
  int32_t rank = 0;
  int64_t epoch = 0;       // 0: the newest
  int64_t tail_bytes = 0;  // 0: from the beginning
  bool follow = false;
};

class Client {
 public:
  explicit Client(Endpoint endpoint);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  Result<SubmittedView> submit(const std::string& spec_json, const std::string& key);
  Result<PlanView> plan(const std::string& spec_json);
  Result<JobView> get(JobId id);  // 0: the newest
  Result<std::vector<JobView>> list(const ListFilter& filter);
  Result<ExplanationView> explain(JobId id);
  Result<std::vector<SeriesView>> metrics(JobId id, std::vector<std::string> names, int max_points);
  Result<JobView> cancel(JobId id);
  Result<JobView> pause(JobId id);
  Result<JobView> resume(JobId id);
  Result<SubmittedView> retry(JobId id);
  Result<JobView> set_priority(JobId id, int64_t priority);
  Result<std::vector<WorkerView>> workers();
  Result<std::vector<WorkerView>> forget(const std::string& worker);
  Result<std::vector<WorkerView>> drain(const std::string& worker, bool undo);
  Result<ServerView> server_info();

  // Streams: the callback gets each item, and nullptr about ten times a second so that it can
  // redraw or look at Ctrl-C; false ends the stream. Returns ok when the stream ended by either
  // side's wish, else why it broke.
  Status watch(const WatchQuery& query, const std::function<bool(const Event*)>& on_event);
  Status logs(const LogsQuery& query, const std::function<bool(const std::string*)>& on_data);

 private:
  struct Wire;
  std::unique_ptr<Wire> wire_;
};

}  // namespace llmctl

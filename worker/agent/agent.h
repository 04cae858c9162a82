// Agent: desired runs against actual runs. It is told everything (messages, report lines, exits,
// the passing of time) and answers with calls on Host and messages in its outbox; it has no thread,
// no file and no clock of its own. Owned by the worker's loop thread.
//
// Lease: an answered message renews it from the time that message was *made*, minus kLeaseMargin,
// so the worker's view always ends before the scheduler's. Nothing else renews it: that the
// scheduler's address refuses connections says nothing, for a tunnel or a firewall may refuse while
// the scheduler gives the job to another worker. Runs whose lease has lapsed wait until the
// scheduler has said again what it wants.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "worker/agent/host.h"
#include "worker/contract/report_line.h"

namespace llmctl::worker {

struct AgentConfig {
  std::string name, instance;
  std::string cluster_id;        // whose runs lie in the work folder; empty: not known
  std::string jobs_dir;          // <jobs_dir>/<job> is a run's job_dir
  std::string cache_dir;         // token caches of all jobs
  int32_t threads_per_rank = 1;  // CPU ranks
  Millis hang_timeout_ms = limits::kHangTimeout;
  Inventory inventory;
};

// One run as the agent knows it, from its start or adoption until the scheduler stops wanting it.
struct Run {
  RunStatus status;
  Progressed progress;            // newest values of every field; for metrics
  std::vector<RankReport> facts;  // told again after a reconnect: checkpoints, the sample
  Millis lease_until_boot_ms = 0;
  Millis last_line_boot_ms = 0;    // last report line, or the lease's last return
  Millis leave_asked_boot_ms = 0;  // 0: not asked
  Millis kill_asked_boot_ms = 0;   // 0: not asked
  bool ended() const { return status.phase == RunStatus::Phase::ended; }
};

class Agent {
 public:
  Agent(AgentConfig config, Host& host);

  // At start, before anything else: a run found on disk, with its lease as it stands there.
  void adopt(const RunKey& key, Millis lease_until_boot_ms);

  void receive(const FromScheduler& message);
  void on_report_line(const RunKey& key, const ReportLine& line);
  void on_exit(const RunKey& key, Outcome outcome, const std::string& detail);
  void set_devices(std::vector<Device> devices);
  // Looks which jobs folder is there. True: another one than the last hello named, so nothing
  // starts before the next one.
  bool jobs_folder_changed();
  void tick();

  // Messages to send, oldest first; the others wait. While the link is down only bounded news is
  // kept.
  std::vector<ToScheduler> take_outbox(size_t most);
  Millis next_tick_boot_ms() const;
  bool connected() const { return link_ == Link::up; }
  int64_t reports_dropped() const { return reports_dropped_; }
  const std::map<RunKey, Run>& runs() const { return runs_; }
  const Inventory& inventory() const { return config_.inventory; }

 private:
  enum class Link { down, greeting, up };

  void on_dialing();
  void join(const std::string& cluster_id);
  void on_welcome(const Welcome& welcome);
  void on_ack(const HeartbeatAck& ack);
  void on_disconnected();
  void on_desired(const Desired& desired);
  Millis margin() const;
  void renew(Millis until_boot_ms, bool thaw);
  void reconcile();
  void start(const RunOrder& order);
  void stop(Run& run, const RunOrder& order);
  void kill(const RunKey& key, Run& run, Outcome why, const std::string& detail);
  void watch_for_hang(const RunKey& key, Run& run);
  void end(Run& run, Outcome outcome, const std::string& detail);
  void tell(const RunKey& key, const RankReport& report);
  void keep_fact(Run& run, const RankReport& report);
  bool fenced(const RunKey& key) const;
  bool older_epoch_lives(const RunKey& key) const;
  std::vector<RunStatus> statuses() const;
  void send_heartbeat();

  AgentConfig config_;
  Host& host_;
  Link link_ = Link::down;
  Millis lease_ms_ = limits::kLease;
  Millis heartbeat_ms_ = limits::kHeartbeat;
  Millis hello_boot_ms_ = 0;
  Millis heartbeat_boot_ms_ = 0;  // when the last one was made
  int64_t heartbeat_number_ = 0;
  std::deque<std::pair<int64_t, Millis>> unanswered_;  // heartbeats by number, with their times
  bool heartbeat_due_ = false;                         // a heartbeat should go out now
  bool devices_changed_ = false;
  bool folder_changed_ = false;                        // since the last hello
  std::optional<std::map<RunKey, RunOrder>> desired_;  // none: not told since the start
  bool desired_is_current_ = false;                    // desired_ is of this connection
  std::map<RunKey, Run> runs_;
  Millis lease_until_boot_ms_ = 0;       // what a run that starts now gets
  std::map<JobId, Epoch> newest_epoch_;  // fence against orders from the past
  std::deque<ToScheduler> outbox_;
  std::deque<RunReport> waiting_;  // progress while the link is down
  int64_t reports_dropped_ = 0;
};

}  // namespace llmctl::worker

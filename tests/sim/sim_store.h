// SimStore: a store in memory, for the real loop. What it has committed outlives the scheduler's
// process, and a crash may be planned for just before or just after the next commit.
#pragma once

#include <string>
#include <vector>

#include "scheduler/store/store.h"

namespace llmctl::sim {

class World;

class SimStore final : public Store {
 public:
  struct Crash {};  // thrown by commit(): the process is gone
  enum class Plan { none, crash_before_commit, crash_after_commit };

  explicit SimStore(World& world) : world_(world) {}
  void plan(Plan plan) { plan_ = plan; }
  Plan plan() const { return plan_; }
  const std::vector<Event>& log() const { return log_; }
  const std::string& cluster() const { return cluster_; }
  void begin_anew();  // an empty store, of a cluster of its own
  State replay() const;

  Result<State> load() override { return replay(); }
  Status append(const Event& event) override;
  Status put_job(const JobRecord&) override { return ok_status(); }
  Status put_profile(const std::string&, const Profile&) override { return ok_status(); }
  Status put_points(const std::vector<MetricPoint>&) override { return ok_status(); }
  Status commit() override;
  void rollback() override { open_.clear(); }
  Result<std::optional<KeyOwner>> find_key(const std::string& idempotency_key) override;

 private:
  World& world_;
  std::string cluster_ = "cluster-1";
  std::vector<Event> log_;   // durable
  std::vector<Event> open_;  // of the transaction
  Plan plan_ = Plan::none;
};

}  // namespace llmctl::sim

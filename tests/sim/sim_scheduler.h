// SimScheduler: what loop.cc does, with a log in memory: decide, apply, commit the batch, and only
// then answer and send. It may crash before the commit (the batch is gone) or right after it (the
// answers are gone), and starts again from the durable events of live jobs and of workers.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "network.h"

namespace llmctl::sim {

class World;
using Decide = std::function<Decision(const State&, const Input&, const SchedulerConfig&)>;

class SimScheduler {
 public:
  SimScheduler(World& world, Decide decide);

  using Reply = std::function<void(const Answer&)>;
  void ask(InputBody body, Reply reply);  // from people; lost while it is down
  void step();
  void crash(bool before_commit);
  bool up() const { return up_; }

  const State& state() const { return state_; }
  const std::vector<Event>& log() const { return log_; }
  const SchedulerConfig& config() const { return config_; }

 private:
  struct Batch {
    std::vector<Event> durable;
    std::set<WorkerId> sync;
    std::vector<std::function<void()>> answers;
  };
  void receive(Batch& batch);
  void decide_one(Batch& batch, InputBody body, const Reply& reply);
  void look_up_twin(SubmitInput& submit) const;
  void commit(Batch& batch);
  void restart();
  State replay() const;

  World& world_;
  Decide decide_;
  SchedulerConfig config_;
  State state_;
  std::vector<Event> log_;
  std::vector<std::pair<InputBody, Reply>> asked_;
  std::map<WorkerId, size_t> seat_;  // worker id -> index in the world
  bool up_ = true;
  Millis down_until_ = 0;
  Millis tick_at_ = 0;
  enum class Crash { none, before_commit, after_commit } crash_ = Crash::none;
};

}  // namespace llmctl::sim

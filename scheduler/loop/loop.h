// Loop: the one thread that owns State. It takes what waits in its queue, decides each input,
// applies the events, makes all of them durable in one transaction (group commit), and only then
// answers, publishes and sends workers their desired runs. Nobody outside sees an uncommitted fact.
//
// When a transaction fails nothing of its batch counts: every input in it is answered with the
// error, State is loaded again from the store, and connections start over. When durability itself
// is in doubt (a failed fsync, corruption) the process ends: a restart tells the truth.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "core/base/clock.h"
#include "scheduler/heart/decide.h"
#include "scheduler/loop/bounded_queue.h"
#include "scheduler/metrics/metrics.h"
#include "scheduler/store/data_dir.h"
#include "scheduler/store/store.h"

namespace llmctl {

// Told by the loop thread after each commit; must not wait. False: could not be taken now.
class LoopListener {
 public:
  virtual ~LoopListener() = default;
  // Not taken: events_missed() follows, as often as it takes.
  virtual bool committed(std::shared_ptr<const std::vector<Event>> events) = 0;
  virtual bool events_missed() = 0;  // watchers have to read the store
  // Not taken: offered again.
  virtual bool desired(WorkerId worker, std::vector<RunOrder> orders) = 0;
  virtual bool state_reloaded() = 0;  // connections have to start over
};

class Loop {
 public:
  // Both run on the loop thread after the commit, so they see only durable facts.
  using Reply = std::function<void(const Answer&, const State&)>;
  using Query = std::function<void(const State&)>;

  Loop(SchedulerConfig config,
       Store& store,
       DiskReserve reserve,
       const Clock& clock,
       SchedulerMetrics& metrics,
       Decide decide = llmctl::decide);

  Status load();                                                       // once, before run()
  const std::string& cluster_id() const { return state_.cluster_id; }  // between load() and run()
  void run(LoopListener& listener);  // until stop(); what was posted before is still done
  void stop() { queue_.close(); }

  // What run() is made of, for the simulator, whose time is not ours: begin() once, then turn()s.
  void begin(LoopListener& listener);
  void turn(Millis wait_most);                   // waits that long for a first input
  const State& state() const { return state_; }  // loop thread only

  // Any thread. False: the queue is full or closed; nothing will happen.
  bool post(InputBody input, Reply reply);
  bool query(Query query);

 private:
  struct Posted {
    InputBody input;
    Reply reply;
    Query query;  // instead of an input
  };
  struct Answered {
    Reply reply;
    Answer answer;
  };
  struct Batch {
    std::vector<Answered> answered;
    std::vector<Event> events;     // applied, in order
    std::map<JobId, Job> left;     // have left State, as they were at the end
    std::set<JobId> touched;       // by durable events
    bool wakes = false;            // something may have become schedulable
    std::optional<Error> failure;  // of the store
  };

  void run_batch(std::vector<Posted> posted);
  void decide_one(Batch& batch, InputBody body, Reply reply);
  Status look_up_finished_twin(SubmitInput& submit);
  Status stage(Batch& batch, const Event& event);
  void tick_if_due(Batch& batch);
  Status persist(Batch& batch);
  Status flush_progress(Batch& batch);
  void after_commit(Batch& batch);
  void retry_notices();
  bool wakes(const Event& event) const;
  void roll_back(Batch& batch, const Error& error);
  void sync_workers();
  void recover_space();

  const SchedulerConfig config_;
  Store& store_;
  DiskReserve reserve_;
  const Clock& clock_;
  SchedulerMetrics& metrics_;
  const Decide decide_;
  LoopListener* listener_ = nullptr;
  BoundedQueue<Posted> queue_;

  State state_;
  std::set<WorkerId> to_sync_;
  std::vector<MetricPoint> points_;  // wait for the next transaction
  std::set<JobId> progressed_;       // their stored progress is out of date
  Millis now_boot_ms_ = 0, now_unix_ms_ = 0;
  Millis turned_boot_ms_ = 0;       // when the last batch began
  Millis awake_since_boot_ms_ = 0;  // no long gap between batches since then
  Millis tick_boot_ms_ = 0;         // the next one at the latest
  Millis early_tick_boot_ms_ = 0;   // the next one at the earliest
  Millis flush_boot_ms_ = 0;
  bool disk_full_ = false;
  // Notices that the listener could not take; offered again after each batch.
  bool events_missed_ = false;
  bool state_reloaded_ = false;
};

}  // namespace llmctl

// The agent's rules against a host that only remembers what was asked of it.
#include "worker/agent/agent.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace llmctl::worker {
namespace {

using Asked = std::vector<std::string>;

std::string name(const RunKey& key) {
  return key.job.str() + "-e" + key.epoch.str() + "-r" + std::to_string(key.rank);
}

class FakeHost final : public Host {
 public:
  Millis now = 1'000'000;
  Asked asked;
  std::map<RunKey, Millis> lease;
  std::map<RunKey, RunConfig> started;
  std::optional<Code> refuse_start;
  std::string refusal = "no such program";
  std::string cluster, folder = "jobs";

  Millis boot_ms() const override { return now; }
  std::string jobs_folder() override { return folder; }
  void keep_cluster(const std::string& id) override { cluster = id; }
  Status start(const RunConfig& config, Millis lease_until) override {
    if (refuse_start) return Error{*refuse_start, refusal, ""};
    const RunKey key{JobId{config.job_id}, Epoch{config.epoch}, config.rank};
    asked.push_back("start " + name(key));
    lease[key] = lease_until;
    started[key] = config;
    return ok_status();
  }
  void renew_lease(const RunKey& run, Millis until) override { lease[run] = until; }
  void ask_to_leave(const RunKey& run) override { asked.push_back("leave " + name(run)); }
  void kill(const RunKey& run, Outcome why, const std::string&) override {
    asked.push_back("kill " + name(run) + " " + to_string(why));
  }
  std::string dump_threads(const RunKey& run) override {
    asked.push_back("dump " + name(run));
    return "2 threads in futex_wait";
  }
  void retire(const RunKey& run) override { asked.push_back("retire " + name(run)); }
};

CheckpointCommitted checkpoint(const std::string& path) {
  CheckpointCommitted checkpoint;
  checkpoint.path = path;
  return checkpoint;
}

constexpr RunKey kRun{JobId{7}, Epoch{1}, 0};
using Stop = RunOrder::Stop;

class AgentTest : public ::testing::Test {
 protected:
  static RunOrder order(const RunKey& key, Stop stop = Stop::none) {
    RunOrder order;
    order.config.job_id = key.job.value;
    order.config.epoch = key.epoch.value;
    order.config.rank = key.rank;
    order.stop = stop;
    return order;
  }
  static AgentConfig config() {
    AgentConfig config;
    config.name = "w1";
    config.jobs_dir = "/jobs";
    config.cache_dir = "/cache";
    config.threads_per_rank = 3;
    return config;
  }
  void connect(const std::string& cluster = "") {
    agent.receive(Dialing{});
    agent.receive(Welcome{WorkerId{1}, 10'000, 1'000, cluster});
  }
  void desire(std::vector<RunOrder> orders) { agent.receive(Desired{std::move(orders)}); }
  void pass(Millis ms) {
    for (; ms > 0; ms -= 500) {
      host.now += std::min<Millis>(ms, 500);
      agent.tick();
    }
  }
  // Ticks for `ms`, with every heartbeat answered at once.
  void pass_acknowledged(Millis ms) {
    for (; ms > 0; ms -= 500) {
      pass(500);
      for (const Heartbeat& beat : sent<Heartbeat>()) agent.receive(HeartbeatAck{beat.number});
    }
  }
  // Takes the outbox and keeps the messages of one kind.
  template <class T>
  std::vector<T> sent() {
    std::vector<T> found;
    for (const ToScheduler& message : agent.take_outbox(1 << 20)) {
      if (const T* one = std::get_if<T>(&message)) found.push_back(*one);
    }
    return found;
  }
  Asked asked() { return std::exchange(host.asked, {}); }

  FakeHost host;
  Agent agent{config(), host};
};

// Another store over the same worker: its jobs have the same numbers and begin at epoch 1 again.
TEST_F(AgentTest, WhatItKnewOfAnotherClusterIsNoFenceForThisOnesJobs) {
  connect("theirs");
  EXPECT_EQ(host.cluster, "theirs");
  const RunKey old{JobId{7}, Epoch{5}, 0};
  desire({order(old)});
  agent.on_exit(old, Outcome::done, "");
  asked();
  connect("ours");
  EXPECT_EQ(host.cluster, "ours");
  EXPECT_EQ(asked(), Asked{"retire 7-e5-r0"});
  desire({order(kRun)});
  EXPECT_EQ(asked(), Asked{"start 7-e1-r0"});
}

TEST_F(AgentTest, AnOrderThatItDoesNotUnderstandEndsWithItsReason) {
  connect();
  RunOrder strange = order(kRun);
  strange.problem = "run config: mode: train or probe";
  desire({strange});
  EXPECT_TRUE(asked().empty());
  EXPECT_EQ(agent.runs().at(kRun).status.outcome, Outcome::spawn_failed);
  EXPECT_NE(agent.runs().at(kRun).status.detail.find("train or probe"), std::string::npos);
}

TEST_F(AgentTest, SaysWhoseRunsItHoldsAndWhereItIs) {
  connect("ours");
  agent.take_outbox(1 << 20);
  agent.receive(Dialing{});
  EXPECT_EQ(sent<Hello>().at(0).cluster_id, "ours");
}

TEST_F(AgentTest, StartsWhatIsDesiredOnce) {
  connect();
  desire({order(kRun)});
  desire({order(kRun)});
  EXPECT_EQ(asked(), Asked{"start 7-e1-r0"});
}

TEST_F(AgentTest, FillsTheWorkersOwnPathsAndThreads) {
  connect();
  desire({order(kRun)});
  EXPECT_EQ(host.started[kRun].job_dir, "/jobs/7");
  EXPECT_EQ(host.started[kRun].cache_dir, "/cache");
  EXPECT_EQ(host.started[kRun].threads, 3);
}

TEST_F(AgentTest, TouchesNothingFoundOnDiskBeforeTheSchedulerHasSpoken) {
  agent.adopt(kRun, host.now + 5'000);
  agent.tick();
  connect();
  agent.tick();
  EXPECT_EQ(asked(), Asked{});
}

TEST_F(AgentTest, KillsAnAdoptedRunThatIsNotDesired) {
  agent.adopt(kRun, host.now + 5'000);
  connect();
  desire({});
  EXPECT_EQ(asked(), Asked{"kill 7-e1-r0 killed"});
}

TEST_F(AgentTest, KeepsAnAdoptedRunThatIsDesired) {
  agent.adopt(kRun, host.now + 5'000);
  connect();
  desire({order(kRun)});
  EXPECT_EQ(asked(), Asked{});
}

TEST_F(AgentTest, TellsAnEndedRunUntilItIsNoLongerDesired) {
  connect();
  desire({order(kRun)});
  agent.on_exit(kRun, Outcome::oom, "out of memory");
  pass(3'000);
  for (const Heartbeat& beat : sent<Heartbeat>()) {
    ASSERT_EQ(beat.runs.size(), 1U);
    EXPECT_EQ(beat.runs[0].phase, RunStatus::Phase::ended);
    EXPECT_EQ(beat.runs[0].outcome, Outcome::oom);
  }
  asked();
  desire({order(kRun)});
  EXPECT_EQ(asked(), Asked{}) << "an ended epoch never starts again";
  desire({});
  EXPECT_EQ(asked(), Asked{"retire 7-e1-r0"});
  EXPECT_TRUE(agent.runs().empty());
}

TEST_F(AgentTest, ANewEpochWaitsUntilTheOldOneIsGone) {
  const RunKey newer{JobId{7}, Epoch{2}, 0};
  connect();
  desire({order(kRun)});
  asked();
  desire({order(newer)});
  EXPECT_EQ(asked(), Asked{"kill 7-e1-r0 killed"});
  agent.on_exit(kRun, Outcome::killed, "");
  EXPECT_EQ(asked(), (Asked{"retire 7-e1-r0", "start 7-e2-r0"}));
}

TEST_F(AgentTest, RefusesAnOrderFromAnOlderEpoch) {
  const RunKey newer{JobId{7}, Epoch{2}, 0};
  connect();
  desire({order(newer)});
  agent.on_exit(newer, Outcome::done, "");
  desire({});
  asked();
  desire({order(kRun)});
  EXPECT_EQ(asked(), Asked{});
}

TEST_F(AgentTest, AStopForARunThatIsNotHereIsAnsweredWithItsEnd) {
  connect();
  desire({order(kRun, Stop::checkpoint)});
  EXPECT_EQ(asked(), Asked{});
  ASSERT_TRUE(agent.runs().contains(kRun));
  EXPECT_EQ(agent.runs().at(kRun).status.outcome, Outcome::killed);
}

TEST_F(AgentTest, AFailedStartIsAnOutcome) {
  host.refuse_start = Code::internal;
  connect();
  desire({order(kRun)});
  EXPECT_EQ(agent.runs().at(kRun).status.outcome, Outcome::spawn_failed);
  EXPECT_EQ(agent.runs().at(kRun).status.detail, "no such program");
}

TEST_F(AgentTest, AFullDiskIsTheWorkersFaultNotTheJobs) {
  host.refuse_start = Code::resource_exhausted;
  connect();
  desire({order(kRun)});
  EXPECT_EQ(agent.runs().at(kRun).status.outcome, Outcome::storage_full);
}

// The scheduler refuses a message with more, and the worker would begin again for ever.
TEST_F(AgentTest, HoldsAtMostAsManyRunsAsOneMessageCanTellOf) {
  connect();
  std::vector<RunOrder> orders;
  for (int i = 1; i <= limits::kRunsTold + 1; ++i) orders.push_back(order({JobId{i}, Epoch{1}, 0}));
  host.refuse_start = Code::internal;
  host.refusal.assign(100'000, 'x');
  desire(orders);
  agent.tick();
  const auto beats = sent<Heartbeat>();
  ASSERT_FALSE(beats.empty());
  EXPECT_EQ(beats.back().runs.size(), static_cast<size_t>(limits::kRunsTold));
  size_t bytes = 0;
  for (const RunStatus& run : beats.back().runs) bytes += run.detail.size();
  EXPECT_LE(static_cast<Bytes>(bytes), limits::kMessageBytes / 2);
  orders.erase(orders.begin());  // one of the past is retired: the last one finds a place
  desire(orders);
  EXPECT_EQ(agent.runs().size(), static_cast<size_t>(limits::kRunsTold));
  EXPECT_TRUE(agent.runs().contains({JobId{limits::kRunsTold + 1}, Epoch{1}, 0}));
}

// A mount came, or went: what is written there now is not where the scheduler believes it to be.
TEST_F(AgentTest, StartsNothingInAnotherFolderThanItHasTold) {
  connect();
  host.folder = "another";
  desire({order(kRun)});
  EXPECT_TRUE(asked().empty());
  EXPECT_TRUE(agent.runs().empty());
  EXPECT_TRUE(agent.jobs_folder_changed()) << "the loop hangs up";
  agent.receive(Disconnected{""});
  connect();
  EXPECT_EQ(sent<Hello>().back().inventory.jobs_folder, "another");
  desire({order(kRun)});
  EXPECT_EQ(asked().size(), 1u);
}

TEST_F(AgentTest, HandsOutOnlyWhatTheLinkHasRoomFor) {
  connect();
  desire({order(kRun)});
  agent.take_outbox(1 << 20);
  for (int i = 0; i < 10; ++i) {
    agent.on_report_line(kRun, checkpoint("e1-s" + std::to_string(i)));
  }
  EXPECT_EQ(agent.take_outbox(4).size(), 4u);
  const auto rest = agent.take_outbox(100);
  ASSERT_GE(rest.size(), 6u);
  const auto& next = std::get<RunReport>(rest.front());
  EXPECT_EQ(std::get<CheckpointCommitted>(next.report).path, "e1-s4") << "in order, none lost";
}

TEST_F(AgentTest, AsksToLeaveFirstAndKillsAfterTheGrace) {
  connect();
  desire({order(kRun)});
  asked();
  desire({order(kRun, Stop::checkpoint)});
  desire({order(kRun, Stop::checkpoint)});
  EXPECT_EQ(asked(), Asked{"leave 7-e1-r0"});
  pass_acknowledged(limits::kStopGrace - 1'000);
  EXPECT_EQ(asked(), Asked{});
  pass_acknowledged(2'000);
  EXPECT_EQ(asked().at(0), "kill 7-e1-r0 killed");
}

TEST_F(AgentTest, RepeatsAKillUntilTheRunHasEnded) {
  connect();
  desire({order(kRun)});
  asked();
  desire({order(kRun, Stop::kill)});
  pass(3'000);
  const size_t kills = asked().size();
  EXPECT_GE(kills, 3U);
  EXPECT_LE(kills, 4U);
  agent.on_exit(kRun, Outcome::killed, "");
  pass(3'000);
  EXPECT_EQ(asked(), Asked{});
}

TEST_F(AgentTest, LeaseCountsFromWhenTheAnsweredHeartbeatWasMade) {
  connect();
  desire({order(kRun)});
  sent<Hello>();
  pass(1'000);
  const Millis made = host.now;
  const auto beats = sent<Heartbeat>();
  ASSERT_FALSE(beats.empty());
  host.now += 700;
  agent.receive(HeartbeatAck{beats.back().number});
  EXPECT_EQ(host.lease[kRun], made + 10'000 - limits::kLeaseMargin);
}

TEST_F(AgentTest, AnUnknownAcknowledgementRenewsNothing) {
  connect();
  desire({order(kRun)});
  const Millis before = host.lease[kRun];
  pass(1'000);
  agent.receive(HeartbeatAck{99});
  agent.receive(HeartbeatAck{-1});
  EXPECT_EQ(host.lease[kRun], before);
}

TEST_F(AgentTest, SilenceRenewsNothing) {
  connect();
  desire({order(kRun)});
  const Millis before = host.lease[kRun];
  pass(20'000);
  EXPECT_EQ(host.lease[kRun], before);
}

// Refused or reset: a tunnel, a proxy or a firewall does either while the scheduler lives.
TEST_F(AgentTest, ABrokenStreamRenewsNothing) {
  connect();
  desire({order(kRun)});
  const Millis before = host.lease[kRun];
  pass(2'000);
  agent.receive(Disconnected{"connection refused"});
  EXPECT_EQ(host.lease[kRun], before);
}

TEST_F(AgentTest, ALapsedLeaseIsThawedByTheSchedulerAlone) {
  connect();
  desire({order(kRun)});
  const Millis before = host.lease[kRun];
  pass(15'000);
  agent.receive(Disconnected{"connection refused"});
  EXPECT_EQ(host.lease[kRun], before) << "somebody may have taken over during the silence";
  connect();
  desire({order(kRun)});
  EXPECT_GT(host.lease[kRun], host.now) << "the scheduler itself thaws it";
}

TEST_F(AgentTest, ALapsedLeaseWaitsUntilItsRunIsWantedAgain) {
  connect();
  desire({order(kRun)});
  const Millis before = host.lease[kRun];
  pass(15'000);
  connect();
  pass_acknowledged(1'000);
  EXPECT_EQ(host.lease[kRun], before) << "another epoch may have taken over";
  desire({});
  pass_acknowledged(1'000);
  EXPECT_EQ(host.lease[kRun], before) << "it is being killed";
}

TEST_F(AgentTest, ARankThatStopsReportingIsDumpedAndKilledAsAHang) {
  connect();
  desire({order(kRun)});
  agent.on_report_line(kRun, UpLine{123});
  asked();
  pass_acknowledged(limits::kHangTimeout - 2'000);
  EXPECT_EQ(asked(), Asked{});
  pass_acknowledged(3'000);
  const Asked steps = asked();
  ASSERT_GE(steps.size(), 2U);
  EXPECT_EQ(steps[0], "dump 7-e1-r0");
  EXPECT_EQ(steps[1], "kill 7-e1-r0 hang");
}

TEST_F(AgentTest, ARankThatReportsIsNotAHang) {
  connect();
  desire({order(kRun)});
  asked();
  for (int i = 0; i < 10; ++i) {
    pass_acknowledged(limits::kHangTimeout / 2);
    agent.on_report_line(kRun, PhaseLine{"tokenize"});
  }
  EXPECT_EQ(asked(), Asked{});
}

TEST_F(AgentTest, ARankWithoutALeaseIsNotAHang) {
  connect();
  desire({order(kRun)});
  asked();
  pass(3 * limits::kHangTimeout);
  EXPECT_EQ(asked(), Asked{});
  connect();
  desire({order(kRun)});
  pass_acknowledged(limits::kHangTimeout - 2'000);
  EXPECT_EQ(asked(), Asked{}) << "its time starts again when the lease returns";
}

TEST_F(AgentTest, ARankUpOrEndedGoesOutAtOnce) {
  connect();
  desire({order(kRun)});
  pass(1'000);
  agent.take_outbox(1 << 20);
  agent.on_report_line(kRun, UpLine{4242});
  EXPECT_EQ(agent.next_tick_boot_ms(), host.now);
  agent.tick();
  auto beats = sent<Heartbeat>();
  ASSERT_EQ(beats.size(), 1U);
  EXPECT_EQ(beats[0].runs.at(0).pid, 4242);
  agent.on_exit(kRun, Outcome::done, "");
  agent.tick();
  EXPECT_EQ(sent<Heartbeat>().size(), 1U);
  agent.tick();
  EXPECT_TRUE(sent<Heartbeat>().empty());
}

TEST_F(AgentTest, CheckpointsAreToldAgainAfterAReconnect) {
  connect();
  desire({order(kRun)});
  agent.on_report_line(kRun, checkpoint("e1-s10"));
  agent.on_report_line(kRun, checkpoint("e1-s20"));
  agent.on_report_line(kRun, CheckpointRemoved{"e1-s10", false});
  EXPECT_EQ(sent<RunReport>().size(), 3U);
  agent.receive(Disconnected{""});
  connect();
  const auto again = sent<RunReport>();
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(std::get<CheckpointCommitted>(again[0].report).path, "e1-s20");
  EXPECT_EQ(std::get<CheckpointRemoved>(again[1].report).path, "e1-s10");
}

TEST_F(AgentTest, OnlyTheNewestSampleIsToldAgainAfterAReconnect) {
  connect();
  desire({order(kRun)});
  agent.on_report_line(kRun, SampleGenerated{10, "a", "b"});
  agent.on_report_line(kRun, SampleGenerated{20, "a", "c"});
  EXPECT_EQ(sent<RunReport>().size(), 2U);
  agent.receive(Disconnected{""});
  connect();
  const auto again = sent<RunReport>();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(std::get<SampleGenerated>(again[0].report).step, 20);
}

TEST_F(AgentTest, ARunOfAnEarlierConnectionStartsOnlyWhenItIsNamedAgain) {
  connect();
  desire({order({JobId{1}, Epoch{1}, 0})});
  desire({order({JobId{1}, Epoch{2}, 0})});  // waits for the old epoch
  agent.receive(Disconnected{""});
  connect();
  agent.on_exit({JobId{1}, Epoch{1}, 0}, Outcome::killed, "");
  agent.tick();
  EXPECT_FALSE(agent.runs().contains({JobId{1}, Epoch{2}, 0}));
  desire({order({JobId{1}, Epoch{2}, 0})});
  EXPECT_TRUE(agent.runs().contains({JobId{1}, Epoch{2}, 0}));
}

TEST_F(AgentTest, ProgressWaitsInABoundedBufferWhileTheLinkIsDown) {
  agent.adopt(kRun, host.now + 5'000);
  for (int i = 1; i <= limits::kReportBuffer + 5; ++i) {
    Progressed progress;
    progress.step = i;
    agent.on_report_line(kRun, progress);
  }
  EXPECT_EQ(agent.reports_dropped(), 5);
  connect();
  const auto reports = sent<RunReport>();
  ASSERT_EQ(reports.size(), static_cast<size_t>(limits::kReportBuffer));
  EXPECT_EQ(std::get<Progressed>(reports.front().report).step, 6) << "the oldest are dropped";
}

TEST_F(AgentTest, HelloNamesEveryRunAndItsProbes) {
  agent.adopt(kRun, host.now + 5'000);
  ProbeResult oom_at_four;
  oom_at_four.micro_batch_size = 4;
  oom_at_four.oom = true;
  agent.on_report_line(kRun, oom_at_four);
  agent.on_exit(kRun, Outcome::done, "");
  agent.receive(Dialing{});
  const auto hellos = sent<Hello>();
  ASSERT_EQ(hellos.size(), 1U);
  ASSERT_EQ(hellos[0].runs.size(), 1U);
  EXPECT_EQ(hellos[0].runs[0].phase, RunStatus::Phase::ended);
  ASSERT_EQ(hellos[0].runs[0].probes.size(), 1U);
  EXPECT_TRUE(hellos[0].runs[0].probes[0].oom);
}

TEST_F(AgentTest, ProgressMergesWhatComesInDifferentLines) {
  connect();
  desire({order(kRun)});
  Progressed progress;
  progress.step = 5;
  progress.loss = 2.5;
  agent.on_report_line(kRun, DataLine{900, 5.5});
  agent.on_report_line(kRun, progress);
  agent.on_report_line(kRun, PeakLine{4096});
  agent.on_report_line(kRun, EvalLine{5, 2.75});
  const auto reports = sent<RunReport>();
  ASSERT_EQ(reports.size(), 2U);
  const auto& last = std::get<Progressed>(reports[1].report);
  EXPECT_EQ(last.loss, 2.5);
  EXPECT_EQ(last.eval_loss, 2.75);
  EXPECT_EQ(last.peak_bytes, 4096);
  EXPECT_EQ(last.train_tokens, 900);
  EXPECT_EQ(last.unigram_entropy, 5.5);
}

TEST_F(AgentTest, ChangedDevicesTravelWithTheNextHeartbeatOnly) {
  connect();
  Device device;
  device.memory_foreign = 1 << 20;
  agent.set_devices({device});
  pass(2'000);
  const auto beats = sent<Heartbeat>();
  ASSERT_GE(beats.size(), 2U);
  EXPECT_EQ(beats[0].devices.size(), 1U);
  EXPECT_TRUE(beats[1].devices.empty());
}

}  // namespace
}  // namespace llmctl::worker

// The link against a real gRPC server: what is said arrives, breaks are seen and mended, and what
// the server says is not believed blindly.
#include "worker/link/link.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <functional>

#include "core/base/limits.h"
#include "tests/processes/patience.h"
#include "tests/worker/link/fleet_server.h"

namespace llmctl::worker {
namespace {

class LinkTest : public ::testing::Test {
 protected:
  void connect(const std::string& token = "") {
    link = std::make_unique<SchedulerLink>(Endpoint{server.address(), false, "", "", token}, clock);
    wait_for<Welcome>();
  }
  // Serves the link as the loop does, saying hello on each dial, until `done`.
  void run_until(const std::function<bool()>& done) {
    const auto serve_once = [&] {
      if (done()) return true;
      link->tick();
      for (FromScheduler& message : link->receive()) {
        if (std::holds_alternative<Dialing>(message)) link->send(Hello{"w1", "i1", {}, {}, "", 0});
        seen.push_back(std::move(message));
      }
      pollfd wake{link->wake_fd(), POLLIN, 0};
      poll(&wake, 1, 10);
      return false;
    };
    ASSERT_TRUE(testing::eventually(serve_once, {})) << "it did not happen";
  }
  template <class T>
  size_t count() const {
    return static_cast<size_t>(std::count_if(seen.begin(), seen.end(), [](const auto& message) {
      return std::holds_alternative<T>(message);
    }));
  }
  template <class T>
  T wait_for() {
    const size_t before = count<T>();
    run_until([&] { return count<T>() > before; });
    for (auto it = seen.rbegin(); it != seen.rend(); ++it) {
      if (const T* found = std::get_if<T>(&*it)) return *found;
    }
    return T{};
  }

  SystemClock clock;
  FleetServer server;
  std::unique_ptr<SchedulerLink> link;
  std::vector<FromScheduler> seen;
};

TEST_F(LinkTest, SaysHelloFirstAndCarriesTheToken) {
  connect("s3cret");
  const auto received = server.received();
  ASSERT_FALSE(received.empty());
  EXPECT_EQ(received[0].hello().name(), "w1");
  EXPECT_EQ(server.token(), "Bearer s3cret");
}

TEST_F(LinkTest, MessagesArriveInOrder) {
  connect();
  for (int i = 1; i <= 500; ++i) link->send(Heartbeat{i, {}, {}});
  run_until([&] { return count<HeartbeatAck>() == 500; });
  const auto received = server.received();
  for (size_t i = 1; i <= 500; ++i) {
    ASSERT_EQ(received.at(i).heartbeat().number(), static_cast<int64_t>(i));
  }
  EXPECT_EQ(link->queued_bytes(), 0);
}

TEST_F(LinkTest, ABrokenStreamIsDialedAgainAndGreetedAgain) {
  connect();
  server.hang_up();
  wait_for<Disconnected>();
  wait_for<Welcome>();
  EXPECT_EQ(server.streams(), 2);
}

TEST_F(LinkTest, ASchedulerThatComesBackIsFound) {
  connect();
  server.stop();
  wait_for<Disconnected>();
  server.restart();
  wait_for<Welcome>();
}

TEST_F(LinkTest, TheNextDialIsNeverFarFromTheLast) {
  connect();
  server.stop();
  const size_t before = count<Disconnected>();
  run_until([&] { return count<Disconnected>() >= before + 6; });
  EXPECT_LE(link->next_tick_boot_ms() - clock.boot_ms(), limits::kLease / 5)
      << "training waits for it";
}

TEST_F(LinkTest, WhatIsSentWithoutAStreamIsDropped) {
  link = std::make_unique<SchedulerLink>(Endpoint{server.address(), false, "", "", ""}, clock);
  link->send(Heartbeat{1, {}, {}});
  EXPECT_EQ(link->queued_bytes(), 0);
}

TEST_F(LinkTest, AnOrderThatCannotBeReadDoesNotMuteTheOthers) {
  connect();
  v1::SchedulerMessage message;
  v1::RunOrder& bad = *message.mutable_desired()->add_runs();
  bad.set_config_json(R"({"job_id": 3, "mode": "of tomorrow"})");
  bad.set_job_id(3);
  bad.set_epoch(2);
  bad.set_rank(1);
  v1::RunOrder& kill = *message.mutable_desired()->add_runs();
  kill = bad;
  kill.set_job_id(4);
  kill.set_stop("kill");
  server.send(message);
  const Desired desired = wait_for<Desired>();
  ASSERT_EQ(desired.runs.size(), 2u);
  EXPECT_EQ(desired.runs[0].config.job_id, 3);
  EXPECT_EQ(desired.runs[0].config.rank, 1);
  EXPECT_NE(desired.runs[0].problem, "");
  EXPECT_EQ(desired.runs[1].stop, RunOrder::Stop::kill);
}

TEST_F(LinkTest, AnOrderWithoutANameIsNotObeyed) {
  connect();
  v1::SchedulerMessage bad, good;
  bad.mutable_desired()->add_runs()->set_config_json("{\"job_id\":");
  good.mutable_log_read()->set_request(9);
  server.send(bad);
  server.send(good);
  EXPECT_EQ(wait_for<LogRead>().request, 9);
  EXPECT_EQ(count<Desired>(), 0U) << "an empty Desired would kill every run";
}

TEST_F(LinkTest, AWelcomeWithoutALeaseIsNotObeyed) {
  server.lease_ms = 0;
  link = std::make_unique<SchedulerLink>(Endpoint{server.address(), false, "", "", ""}, clock);
  run_until([&] { return !server.received().empty(); });
  v1::SchedulerMessage log;
  log.mutable_log_read()->set_request(1);
  server.send(log);
  wait_for<LogRead>();
  EXPECT_EQ(count<Welcome>(), 0U);
}

TEST_F(LinkTest, EndsWithoutWaitingWhileConnected) {
  connect();
  link.reset();
  EXPECT_EQ(server.streams(), 1);
}

}  // namespace
}  // namespace llmctl::worker

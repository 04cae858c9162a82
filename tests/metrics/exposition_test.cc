// The /metrics server over real sockets, asked politely and otherwise.
#include "metrics/exposition.h"

#include <gtest/gtest.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <deque>
#include <stdexcept>

#include "tests/metrics/http_client.h"

namespace llmctl {
namespace {

using testing::Connection;
using testing::http_get;
using testing::http_request;

class ExpositionServer : public ::testing::Test {
 protected:
  void start(std::function<void()> before_scrape = {}) {
    auto started = Exposition::start("0", registry, std::move(before_scrape));
    ASSERT_TRUE(started.ok()) << started.error().message;
    server = std::move(started).value();
  }

  prometheus::Registry registry;
  std::unique_ptr<Exposition> server;
};

TEST_F(ExpositionServer, ServesTheRegistryInTextFormat) {
  start();
  prometheus::BuildCounter()
      .Name("llmctl_things_total")
      .Help("Things.")
      .Register(registry)
      .Add({{"kind", "a"}})
      .Increment(3);
  const auto answer = http_get(server->port(), "/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.head.find("text/plain; version=0.0.4; charset=utf-8"), std::string::npos);
  EXPECT_EQ(answer.body,
            "# HELP llmctl_things_total Things.\n# TYPE llmctl_things_total counter\n"
            "llmctl_things_total{kind=\"a\"} 3\n");
}

TEST_F(ExpositionServer, EscapesHostileLabelValues) {
  start();
  prometheus::BuildGauge()
      .Name("llmctl_job_info")
      .Help("Jobs.")
      .Register(registry)
      .Add({{"name", "a\"b\\c\nllmctl_fake 1"}})
      .Set(1);
  EXPECT_NE(http_get(server->port(), "/metrics")
                .body.find("llmctl_job_info{name=\"a\\\"b\\\\c\\nllmctl_fake 1\"} 1\n"),
            std::string::npos);
}

TEST_F(ExpositionServer, RunsTheHookBeforeEveryScrapeAndOnlyThen) {
  auto& gauge =
      prometheus::BuildGauge().Name("llmctl_scrapes").Help("Scrapes.").Register(registry).Add({});
  start([&gauge] { gauge.Increment(); });
  EXPECT_EQ(http_get(server->port(), "/healthz").body, "ok\n");
  http_get(server->port(), "/metrics");
  EXPECT_NE(http_get(server->port(), "/metrics").body.find("llmctl_scrapes 2\n"),
            std::string::npos);
}

TEST_F(ExpositionServer, AnswersAFailingHookWith500AndGoesOn) {
  bool broken = true;
  start([&broken] {
    if (broken) throw std::runtime_error("the driver is gone");
  });
  const auto answer = http_get(server->port(), "/metrics");
  EXPECT_EQ(answer.status, 500);
  EXPECT_NE(answer.body.find("the driver is gone"), std::string::npos);
  broken = false;
  EXPECT_EQ(http_get(server->port(), "/metrics").status, 200);
}

TEST_F(ExpositionServer, RefusesOtherPathsAndMethods) {
  start();
  EXPECT_EQ(http_get(server->port(), "/").status, 404);
  EXPECT_EQ(http_get(server->port(), "/metrics/../etc/passwd").status, 404);
  EXPECT_EQ(http_request(server->port(), "POST", "/metrics").status, 405);
  EXPECT_EQ(http_request(server->port(), "DELETE", "/healthz").status, 405);
  EXPECT_EQ(http_get(server->port(), "/metrics?name=x").status, 200);
}

TEST_F(ExpositionServer, SurvivesMalformedRequests) {
  start();
  const std::string long_field(1 << 20, 'a');
  std::string many_fields;
  for (int i = 0; i < 10'000; ++i) many_fields += "X-" + std::to_string(i) + ": 1\r\n";
  for (const std::string& request : {
           std::string("\0\1\2\3\r\n\r\n", 8),
           "GET /" + long_field + " HTTP/1.1\r\n\r\n",
           "GET /metrics HTTP/1.1\r\nX: " + long_field + "\r\n\r\n",
           "GET /metrics HTTP/1.1\r\n" + long_field + ": 1\r\n\r\n",
           "GET /metrics HTTP/1.1\r\n" + many_fields + "\r\n",
           "POST /metrics HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + long_field,
           std::string("POST /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
           std::string("POST /m HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n"),
       }) {
    Connection connection(server->port());
    connection.send(request);
    EXPECT_EQ(connection.read_all().find("200 OK"), std::string::npos) << request.substr(0, 60);
  }
  EXPECT_EQ(http_get(server->port(), "/metrics").status, 200);
}

TEST_F(ExpositionServer, DropsSlowClientsSoThatAScrapeGetsThrough) {
  start();
  std::deque<Connection> slow;
  for (int i = 0; i < 100; ++i) slow.emplace_back(server->port()).send("GET /metrics HTT");
  EXPECT_EQ(http_get(server->port(), "/metrics").status, 200);
}

TEST_F(ExpositionServer, AnswersOneRequestPerConnection) {
  start();
  Connection connection(server->port());
  const std::string request = "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n";
  ASSERT_TRUE(connection.send(request + request));
  const std::string all = connection.read_all();
  EXPECT_EQ(all.find("200 OK"), all.rfind("200 OK"));
  EXPECT_NE(all.find("Connection: close"), std::string::npos);
}

TEST_F(ExpositionServer, ClosesOpenConnectionsWhenItStops) {
  start();
  Connection idle(server->port());
  ASSERT_TRUE(idle.connected());
  const uint16_t port = server->port();
  server.reset();
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_FALSE(Connection(port).connected());
}

TEST_F(ExpositionServer, ListensOnLoopbackUnlessToldOtherwise) {
  start();
  EXPECT_EQ(server->address(), "127.0.0.1:" + std::to_string(server->port()));
  EXPECT_TRUE(Connection(server->port()).connected());
  EXPECT_FALSE(Connection(server->port(), "127.0.0.2").connected());
}

TEST_F(ExpositionServer, SaysWhichAddressIsTaken) {
  start();
  const auto second = Exposition::start(server->address(), registry);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::unavailable);
  EXPECT_NE(second.error().message.find(server->address()), std::string::npos);
}

TEST(ExpositionAddress, RefusesWhatIsNotAnAddressWithPort) {
  prometheus::Registry registry;
  for (const char* bad :
       {"", ":", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:1x", "127.0.0.1:65536",
        "127.0.0.1:-1", "256.0.0.1:1", "example.org:80", "[::1:9", " 9100"}) {
    const auto started = Exposition::start(bad, registry);
    ASSERT_FALSE(started.ok()) << bad;
    EXPECT_EQ(started.error().code, Code::invalid_argument) << bad;
  }
}

}  // namespace
}  // namespace llmctl

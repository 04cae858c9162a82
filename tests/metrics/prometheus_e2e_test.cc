// The acceptance test of the monitoring: a live cluster trains a real job, Debian's Prometheus
// scrapes scheduler and worker with the recording rules we ship, and every query of every panel of
// both dashboards must return a number. What cannot have data here is listed, with its reason, and
// must have none.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>

#include "tests/e2e/cluster.h"
#include "tests/metrics/dashboards.h"
#include "tests/metrics/http_client.h"
#include "tests/metrics/scrape.h"
#include "tests/processes/patience.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;
using e2e::Cluster;
using nlohmann::json;
using testing::PanelQuery;

const std::map<std::string, std::string> kEmptyWithoutGpu = {
    {"fleet.json: GPU energy, 24 h, A", "needs a GPU"},
    {"fleet.json: GPU utilization, A", "needs a GPU"},
    {"fleet.json: GPU memory used, A", "needs a GPU"},
    {"fleet.json: GPU temperature, A", "needs a GPU"},
    {"fleet.json: GPU power, A", "needs a GPU"},
    {"fleet.json: GPU power, B", "needs a GPU"},
};
const std::map<std::string, std::string> kEmptyWithoutFailure = {
    {"training_run.json: Corrupt checkpoints, A", "needs a checkpoint that is damaged"},
};

// A port nobody listens on; Prometheus cannot pick one and tell it.
uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

std::string url_encode(const std::string& text) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte)) {
      encoded += c;
    } else {
      char hex[4];
      std::snprintf(hex, sizeof(hex), "%%%02X", byte);
      encoded += hex;
    }
  }
  return encoded;
}

// One Prometheus process with its data in `dir`; killed with the object.
class Prometheus {
 public:
  Prometheus(const fs::path& dir, const std::map<std::string, std::string>& targets)
      : port_(free_port()) {
    fs::create_directories(dir);
    const std::string config = dir / "prometheus.yml";
    std::ofstream out(config);
    out << "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files:\n"
        << "  - " LLMCTL_SOURCE_DIR "/deploy/prometheus/rules.yml\n"
        << "  - " LLMCTL_SOURCE_DIR "/deploy/prometheus/alerts.yml\nscrape_configs:\n";
    for (const auto& [job, target] : targets) {
      out << "  - {job_name: " << job << ", static_configs: [{targets: ['" << target << "']}]}\n";
    }
    out.close();
    const std::string listen = "--web.listen-address=127.0.0.1:" + std::to_string(port_);
    const std::string data = "--storage.tsdb.path=" + (dir / "data").string();
    const std::string file = "--config.file=" + config;
    const std::string log = dir / "prometheus.log";
    pid_ = ::fork();
    if (pid_ == 0) {
      if (::freopen(log.c_str(), "w", stderr) == nullptr) ::_exit(1);
      ::execlp("prometheus", "prometheus", file.c_str(), data.c_str(), listen.c_str(), nullptr);
      ::_exit(127);
    }
  }
  Prometheus(const Prometheus&) = delete;
  Prometheus& operator=(const Prometheus&) = delete;
  ~Prometheus() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  json get(const std::string& path) const {
    // HTTP/1.0: an answer that is not chunked.
    testing::Connection connection(port_);
    connection.send("GET " + path + " HTTP/1.0\r\nHost: localhost\r\n\r\n");
    const std::string all = connection.read_all();
    const size_t body = all.find("\r\n\r\n");
    if (body == std::string::npos) return {};
    return json::parse(all.substr(body + 4), nullptr, /*allow_exceptions=*/false);
  }

  bool has_number(const std::string& expr) const {
    const json answer = get("/api/v1/query?query=" + url_encode(expr));
    if (!answer.is_object() || answer.value("status", "") != "success") {
      ADD_FAILURE() << expr << ": " << answer.dump();
      return false;
    }
    for (const auto& sample : answer["data"]["result"]) {
      if (std::isfinite(std::stod(sample["value"][1].get<std::string>()))) return true;
    }
    return false;
  }

  bool scrapes_all() const {
    const json answer = get("/api/v1/targets");
    if (!answer.is_object() || !answer.contains("data")) return false;
    const json& targets = answer["data"]["activeTargets"];
    for (const auto& target : targets) {
      if (target["health"] != "up") return false;
    }
    return !targets.empty();
  }

 private:
  uint16_t port_;
  pid_t pid_ = -1;
};

std::string metrics_address(const fs::path& file) {
  const json document = json::parse(e2e::file_text(file), nullptr, /*allow_exceptions=*/false);
  return document.is_object() ? document.value("metrics_address", "") : "";
}

// Trains until it is canceled, with evaluations and checkpoints on the way.
std::string endless_job(const Cluster& cluster) {
  std::ofstream(cluster.home() / "text.txt") << e2e::training_text(4'000);
  return cluster.write_job("monitored", R"(name: monitored
model: {architecture: llama, hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4}
datasets: [text.txt]
tokenizer: bytes
sequence_len: 64
global_batch_size: 8
max_steps: 1000000
val_set_size: 0.1
eval_steps: 20
eval_max_batches: 2
save_steps: 50
)");
}

TEST(DashboardsLive, EveryPanelShowsDataOfARunningJob) {
  const Cluster cluster({"--cpu-memory", "4GiB", "--workers", "1", "--threads", "1"});
  const std::string scheduler = metrics_address(cluster.home() / "scheduler/scheduler.json");
  const std::string worker = metrics_address(cluster.home() / "workers/w1/worker.json");
  ASSERT_NE(scheduler, "");
  ASSERT_NE(worker, "");
  const Prometheus prometheus(cluster.home() / "prometheus",
                              {{"llmctl-scheduler", scheduler}, {"llmctl-worker", worker}});
  ASSERT_TRUE(testing::eventually([&] { return prometheus.scrapes_all(); }))
      << e2e::file_text(cluster.home() / "prometheus/prometheus.log");

  const int64_t job = cluster.submit(endless_job(cluster));
  const std::map<std::string, std::string> variables = {{"__rate_interval", "15s"},
                                                        {"__range", "10m"},
                                                        {"instance", ".*"},
                                                        {"job_id", std::to_string(job)}};
  std::map<std::string, std::string> missing;
  for (const std::string& file : testing::kDashboards) {
    for (const PanelQuery& query : testing::panel_queries(file, variables, false)) {
      missing[query.where] = query.expr;
    }
  }
  const bool has_gpu = prometheus.has_number("llmctl_gpu_info");
  std::map<std::string, std::string> empty = kEmptyWithoutFailure;
  empty.insert(kEmptyWithoutGpu.begin(), kEmptyWithoutGpu.end());
  testing::eventually(
      [&] {  // a panel need not have data all the time, so each is asked until it had some
        cluster.show(job);  // somebody looks: calls to measure
        std::erase_if(missing, [&](const auto& row) { return prometheus.has_number(row.second); });
        return std::all_of(missing.begin(), missing.end(),
                           [&](const auto& row) { return empty.contains(row.first); });
      });
  for (const auto& [where, expr] : missing) {
    EXPECT_TRUE(empty.contains(where)) << where << " shows nothing: " << expr;
  }
  for (const auto& [where, reason] : empty) {
    const bool may_have = has_gpu && kEmptyWithoutGpu.contains(where);
    EXPECT_TRUE(may_have || missing.contains(where))
        << where << " has data though it " << reason << "; take it off the list";
  }
  EXPECT_FALSE(prometheus.has_number("ALERTS{alertstate=\"firing\"}"))
      << prometheus.get("/api/v1/alerts").dump(1);
  EXPECT_EQ(cluster.llmctl({"cancel", std::to_string(job)}).code, 0);
}

TEST(DashboardsLive, PagesOfARunningClusterObeyThePrometheusRules) {
  const Cluster cluster({"--cpu-memory", "4GiB", "--workers", "1", "--threads", "1"});
  const int64_t job = cluster.submit(endless_job(cluster));
  cluster.wait_step(job, 60);
  for (const char* file : {"scheduler/scheduler.json", "workers/w1/worker.json"}) {
    const std::string address = metrics_address(cluster.home() / file);
    const auto port = static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    const auto answer = testing::http_get(port, "/metrics");
    EXPECT_EQ(answer.status, 200) << file;
    testing::expect_clean_page(answer.body);
  }
  EXPECT_EQ(cluster.llmctl({"cancel", std::to_string(job)}).code, 0);
}

}  // namespace
}  // namespace llmctl

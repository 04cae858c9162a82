// Figures of the scheduler over its public API, one JSON line each:
//   scheduler_bench submit  ADDRESS             durable submissions/s by 1 and by 64 clients
//   scheduler_bench fill    ADDRESS JOBS        submits until that many jobs are live
//   scheduler_bench latency ADDRESS JOBS_DIR    submit -> trainer started, on a warm idle worker
//   scheduler_bench tasks   ADDRESS             no-op tasks/s from the first submit to the last end
// bench/scheduler.sh starts the programs around it.
#include <grpcpp/grpcpp.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/job/job_spec.h"
#include "llmctl/v1/scheduler.grpc.pb.h"

namespace llmctl {
namespace {

constexpr double kSubmitSeconds = 5;
constexpr int kLatencySamples = 200;
constexpr int kTasks = 1'000;

int64_t boot_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

double seconds_since(int64_t begin_ns) {
  return static_cast<double>(boot_ns() - begin_ns) / 1e9;
}

void print(const char* figure, double value, const char* unit) {
  const nlohmann::json line = {
      {"system", "llmctl"}, {"figure", figure}, {"value", value}, {"unit", unit}};
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

// `env` goes to the trainer: what noop_trainer is asked to write.
std::string spec_json(std::map<std::string, std::string> env) {
  JobSpec spec;
  spec.name = "noop";
  spec.model.preset = presets().front().name;
  spec.model.config = presets().front().config;
  spec.datasets = {DatasetSpec{"/dev/null", "text", "text"}};
  spec.max_steps = 1;
  spec.env = std::move(env);
  return spec_text(spec);
}

class Client {
 public:
  explicit Client(const std::string& address, std::map<std::string, std::string> env = {}) {
    request_.set_spec_json(spec_json(std::move(env)));
    grpc::ChannelArguments own;  // a connection of its own, like another process
    own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = v1::Scheduler::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), own));
  }

  int64_t submit() {
    v1::SubmitResponse response;
    grpc::ClientContext context;
    const grpc::Status status = stub_->Submit(&context, request_, &response);
    if (!status.ok()) fail(status);
    return response.job_id();
  }

  // Waits for the end of one job; false when it did not succeed.
  bool wait(int64_t job) {
    v1::WatchRequest request;
    request.set_job_id(job);
    request.set_from_seq(1);
    request.set_until_done(true);
    grpc::ClientContext context;
    const auto stream = stub_->Watch(&context, request);
    v1::Event event;
    std::string state;
    while (stream->Read(&event)) {
      if (event.has_job_moved()) state = event.job_moved().to();
    }
    const grpc::Status status = stream->Finish();
    if (!status.ok()) fail(status);
    return state == "SUCCEEDED";
  }

  v1::ServerInfoResponse info() {
    v1::ServerInfoResponse info;
    grpc::ClientContext context;
    const grpc::Status status = stub_->ServerInfo(&context, {}, &info);
    if (!status.ok()) fail(status);
    return info;
  }

 private:
  [[noreturn]] static void fail(const grpc::Status& status) {
    std::fprintf(stderr, "scheduler_bench: %s\n", status.error_message().c_str());
    std::exit(1);
  }
  std::unique_ptr<v1::Scheduler::Stub> stub_;
  v1::SubmitRequest request_;
};

double submissions_per_second(const std::string& address, int clients) {
  std::atomic<int64_t> done = 0;
  const int64_t begin = boot_ns();
  {
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<size_t>(clients));
    for (int i = 0; i < clients; ++i) {
      threads.emplace_back([&] {
        Client client(address);
        while (seconds_since(begin) < kSubmitSeconds) {
          client.submit();
          ++done;
        }
      });
    }
  }
  return static_cast<double>(done) / seconds_since(begin);
}

void fill(const std::string& address, int64_t jobs) {
  const int64_t missing = jobs - Client(address).info().jobs_live();
  std::atomic<int64_t> left = missing;
  constexpr int kThreads = 32;
  std::vector<std::jthread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      Client client(address);
      while (left-- > 0) client.submit();
    });
  }
}

// The job's trainer wrote when it started; it has ended, so the file is there.
int64_t started_ns(const std::string& jobs_dir, int64_t job) {
  int64_t ns = 0;
  std::ifstream(jobs_dir + '/' + std::to_string(job) + "/started") >> ns;
  return ns;
}

void latency(const std::string& address, const std::string& jobs_dir) {
  Client client(address, {{"NOOP_STARTED", "1"}});
  if (!client.wait(client.submit())) std::exit(1);  // the probe; its profile serves the others
  std::vector<double> milliseconds;
  for (int i = 0; i < kLatencySamples; ++i) {
    const int64_t begin = boot_ns();
    const int64_t job = client.submit();
    if (!client.wait(job)) std::exit(1);
    milliseconds.push_back(static_cast<double>(started_ns(jobs_dir, job) - begin) / 1e6);
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto at = [&](double share) {
    return milliseconds[static_cast<size_t>(share * static_cast<double>(kLatencySamples))];
  };
  print("submit_to_trainer_p50", at(0.5), "ms");
  print("submit_to_trainer_p99", at(0.99), "ms");
}

void tasks(const std::string& address) {
  Client client(address);
  if (!client.wait(client.submit())) std::exit(1);
  const int64_t begin = boot_ns();
  int64_t last = 0;
  for (int i = 0; i < kTasks; ++i) last = client.submit();
  while (client.info().jobs_live() > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  if (!client.wait(last)) std::exit(1);
  print("noop_tasks", kTasks / seconds_since(begin), "1/s");
}

int run(int argc, char** argv) {
  const std::string verb = argc > 2 ? argv[1] : "";
  const std::string address = argc > 2 ? argv[2] : "";
  if (verb == "submit") {
    print("durable_submissions_1_client", submissions_per_second(address, 1), "1/s");
    print("durable_submissions_64_clients", submissions_per_second(address, 64), "1/s");
  } else if (verb == "fill" && argc == 4) {
    fill(address, std::stoll(argv[3]));
  } else if (verb == "latency" && argc == 4) {
    latency(address, argv[3]);
  } else if (verb == "tasks") {
    tasks(address);
  } else {
    std::fprintf(stderr, "usage: scheduler_bench submit|fill|latency|tasks ADDRESS [ARGUMENT]\n");
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace llmctl

int main(int argc, char** argv) {
  return llmctl::run(argc, argv);
}

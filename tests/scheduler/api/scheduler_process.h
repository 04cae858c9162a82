// A real llmctl-scheduler on a directory of its own, for tests: started, asked over loopback,
// killed with -9, started again on the same files.
#pragma once

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "core/job/job_spec.h"
#include "llmctl/v1/scheduler.grpc.pb.h"
#include "tests/processes/patience.h"
#include "tests/processes/test_folder.h"

namespace llmctl::testing {

inline JobSpec small_spec(const std::string& name) {
  JobSpec spec;
  spec.name = name;
  spec.model.preset = presets().front().name;
  spec.model.config = presets().front().config;
  spec.datasets = {DatasetSpec{"/data/text.txt", "text", "text"}};
  spec.max_steps = 10;
  return parse_spec_json(spec_text(spec)).value();  // derived fields filled
}

class SchedulerProcess {
 public:
  explicit SchedulerProcess(std::string data_dir, std::vector<std::string> arguments = {})
      : data_dir_(std::move(data_dir)), arguments_(std::move(arguments)) {}
  ~SchedulerProcess() { stop(SIGKILL); }

  // False: it ended instead of listening.
  bool start() {
    std::filesystem::remove(data_dir_ + "/scheduler.json");
    std::vector<std::string> words = {LLMCTL_BIN_DIR "/llmctl-scheduler", "--data-dir", data_dir_};
    words.insert(words.end(), arguments_.begin(), arguments_.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int log = ::open((data_dir_ + ".log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      ::dup2(log, 2);
      if (before_exec) before_exec();
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    const bool listening = eventually([&] { return ended() || !read_address().empty(); });
    if (!listening || pid_ == 0) return false;
    address_ = read_address();
    channel_ = grpc::CreateChannel(address_, grpc::InsecureChannelCredentials());
    stub = v1::Scheduler::NewStub(channel_);
    return !address_.empty();
  }

  // The exit status, as waitpid gives it.
  int stop(int signal) {
    if (pid_ == 0) return status_;
    ::kill(pid_, signal);
    ::waitpid(pid_, &status_, 0);
    pid_ = 0;
    return status_;
  }
  bool restart(int signal) {
    stop(signal);
    return start();
  }
  bool ended() {
    if (pid_ != 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = 0;
    return pid_ == 0;
  }
  std::string log() const {
    std::ifstream file(data_dir_ + ".log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  grpc::Status submit(const JobSpec& spec, const std::string& key, v1::SubmitResponse* response) {
    return submit_text(spec_text(spec), key, response);
  }
  grpc::Status submit_text(const std::string& spec_json,
                           const std::string& key,
                           v1::SubmitResponse* response) {
    v1::SubmitRequest request;
    request.set_spec_json(spec_json);
    request.set_idempotency_key(key);
    grpc::ClientContext context;
    return stub->Submit(&context, request, response);
  }
  int64_t submit(const JobSpec& spec, const std::string& key = "") {
    v1::SubmitResponse response;
    const grpc::Status status = submit(spec, key, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job_id();
  }
  grpc::Status get(int64_t id, v1::Job* job) {
    v1::JobRequest request;
    request.set_job_id(id);
    grpc::ClientContext context;
    return stub->Get(&context, request, job);
  }
  grpc::Status cancel(int64_t id, v1::Job* job) {
    v1::JobRequest request;
    request.set_job_id(id);
    grpc::ClientContext context;
    return stub->Cancel(&context, request, job);
  }

  const std::string& address() const { return address_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  std::unique_ptr<v1::Scheduler::Stub> stub;
  std::function<void()> before_exec;  // in the child: limits

 private:
  std::string read_address() const {
    std::ifstream file(data_dir_ + "/scheduler.json");
    const auto document = nlohmann::json::parse(file, nullptr, false);
    return document.is_object() ? document.value("address", "") : "";
  }

  std::string data_dir_;
  std::vector<std::string> arguments_;
  pid_t pid_ = 0;
  int status_ = 0;
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace llmctl::testing

// Training runs of the real program, on a text and a model that are small.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/plan/plan_search.h"
#include "tests/trainer/scratch.h"
#include "tests/trainer/trainer_process.h"
#include "trainer/checkpoint/checkpoint.h"

namespace llmctl {

namespace fs = std::filesystem;

inline std::string some_text() {
  std::string text;
  const char* words[] = {"loss ", "token ", "block ", "norm ", "rank ", "gate\n", "seed ", "step "};
  for (uint32_t i = 0, state = 1; i < 8'000; ++i) {
    state = state * 1'664'525 + 1'013'904'223;
    text += words[state >> 29];
  }
  return text;
}

inline int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), bytes), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

// After ten steps: sums of gradients in another order.
inline constexpr double kCloseWeights = 1e-5;

class Training : public ::testing::Test {
 protected:
  void SetUp() override { write_file(scratch_.path() / "text.txt", some_text()); }

  RunConfig config(const std::string& job, int64_t steps) const {
    RunConfig config;
    config.job_dir = scratch_.path() / job;
    config.cache_dir = scratch_.path() / "cache";
    config.threads = 1;
    config.resume_scan = true;
    JobSpec& spec = config.spec;
    spec.name = job;
    spec.datasets = {{scratch_.path() / "text.txt"}};
    spec.sequence_len = 32;
    spec.global_batch_size = 8;
    spec.micro_batch_size = 4;
    spec.gradient_checkpointing = "none";
    spec.max_steps = steps;
    spec.tokenizer.vocab_size = 257;
    ModelConfig& model = spec.model.config;
    model.hidden_size = 64;
    model.num_hidden_layers = 2;
    model.num_attention_heads = 4;
    model.num_key_value_heads = 2;
    model = resolved(model, 257, spec.sequence_len);
    plan(config);
    return config;
  }
  // Again, after a change to what decides the plan.
  static void plan(RunConfig& config) {
    config.plan = candidate_plans(config.spec, {config.memory_cap_bytes}).front();
  }
  fs::path run_directory() { return scratch_.path() / ("run" + std::to_string(++runs_)); }

  static std::vector<Checkpoint> checkpoints(const RunConfig& config) {
    std::vector<Checkpoint> out;
    for (const fs::path& path : list_checkpoints(fs::path(config.job_dir) / "checkpoints")) {
      auto checkpoint = load_checkpoint(path);
      EXPECT_TRUE(checkpoint.ok()) << path;
      if (checkpoint.ok()) out.push_back(std::move(*checkpoint));
    }
    return out;
  }
  static std::string weights(const RunConfig& config) {  // of the newest checkpoint
    const auto all = checkpoints(config);
    return all.empty() ? "" : read_file(all.front().path / "rank-0.safetensors");
  }
  // Runs to the end, undisturbed.
  std::string weights_after(const RunConfig& config) {
    TrainerProcess process(config, run_directory());
    EXPECT_EQ(process.wait_exit(), 0);
    return weights(config);
  }

  // Questions of one length and answers of many, packed.
  RunConfig chats(const std::string& job, int64_t steps) const {
    std::string jsonl;
    for (int i = 0; i < 120; ++i) {
      jsonl += R"({"prompt":"what follows )" + std::to_string(100 + i) + R"(?","completion":")" +
               std::to_string(101 + i).substr(0, 1 + static_cast<size_t>(i) % 3) + "\"}\n";
    }
    write_file(scratch_.path() / "chats.jsonl", jsonl);
    RunConfig run = config(job, steps);
    run.spec.method = "sft";
    run.spec.datasets = {{scratch_.path() / "chats.jsonl"}};
    return run;
  }
  // `run` killed at each of these steps and started again, beside one that nobody disturbs.
  void expect_same_bits_after_kills(RunConfig run, const std::vector<int64_t>& steps) {
    RunConfig calm = run;
    calm.job_dir += "-calm";
    const std::string undisturbed = weights_after(calm);
    ASSERT_FALSE(undisturbed.empty());
    run.spec.save_steps = 6;
    plan(run);
    for (const int64_t step : steps) {
      TrainerProcess process(run, run_directory());
      ASSERT_TRUE(process.wait_step(step));
      process.signal(SIGKILL);
      process.wait_exit();
    }
    EXPECT_TRUE(weights_after(run) == undisturbed) << "the resumed run ended with other bits";
  }

  // `most`: relative, of each tensor.
  static void expect_close_weights(const RunConfig& one,
                                   const RunConfig& other,
                                   double most = kCloseWeights) {
    const auto wanted = checkpoints(one), got = checkpoints(other);
    ASSERT_EQ(wanted.size(), 1u);
    ASSERT_EQ(got.size(), 1u);
    for (const TensorView& want : wanted[0].shards.at("rank-0").tensors()) {
      if (want.name.rfind("optimizer.", 0) == 0) continue;
      const auto* a = reinterpret_cast<const float*>(want.bytes.data());
      const auto* b = reinterpret_cast<const float*>(got[0].find(want.name)->bytes.data());
      double difference = 0, size = 0;
      for (size_t i = 0; i < want.bytes.size() / sizeof(float); ++i) {
        difference += std::pow(a[i] - b[i], 2);
        size += std::pow(a[i], 2);
      }
      EXPECT_LE(std::sqrt(difference), most * std::sqrt(size)) << want.name;
    }
  }

  using Gang = std::vector<std::unique_ptr<TrainerProcess>>;  // by rank
  // Each has its share of the accumulation, which their number must divide.
  Gang start_gang(RunConfig run, int32_t ranks) {
    EXPECT_EQ(run.plan.gradient_accumulation_steps % ranks, 0);
    run.spec.resources.ranks = ranks;
    run.plan.gradient_accumulation_steps /= ranks;
    run.world_size = ranks;
    run.master_port = free_port();
    Gang gang;
    for (run.rank = 0; run.rank < ranks; ++run.rank) {
      gang.push_back(std::make_unique<TrainerProcess>(run, run_directory()));
    }
    return gang;
  }
  // Runs to the end, undisturbed; only rank 0 makes checkpoints.
  void run_gang(const RunConfig& run, int32_t ranks) {
    const Gang gang = start_gang(run, ranks);
    for (size_t rank = 0; rank < gang.size(); ++rank) {
      EXPECT_EQ(gang[rank]->wait_exit(), 0) << "rank " << rank;
      EXPECT_EQ(gang[rank]->lines("checkpoint").empty(), rank > 0);
    }
  }

  Scratch scratch_;
  int runs_ = 0;
};

}  // namespace llmctl

// The main road as a person walks it: submit, fit, train, watch, checkpoint, pause, generate.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/e2e/cluster.h"

namespace llmctl::e2e {
namespace fs = std::filesystem;

class Journey : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new Cluster({"--cpu-memory", "4GiB", "--workers", "2", "--slots", "2"});
    std::ofstream(cluster_->home() / "text.txt") << training_text(4000);
  }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }

  static std::string job(const std::string& name, const std::string& more) {
    return cluster_->write_job(name, "name: " + name + R"(
model: {architecture: llama, hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4}
datasets: [text.txt]
tokenizer: bytes
sequence_len: 64
global_batch_size: 8
learning_rate: 2e-3
)" + more);
  }
  static Cluster* cluster_;
};
Cluster* Journey::cluster_ = nullptr;

TEST_F(Journey, AJobIsProbedTrainedAndReported) {
  const int64_t id = cluster_->submit(job("road",
                                          "max_steps: 60\nsave_steps: 20\nval_set_size: 0.1\n"
                                          "eval_steps: 20\nsample_prompt: \"line\"\n"));
  EXPECT_EQ(cluster_->llmctl({"wait", std::to_string(id)}).code, 0);
  const auto show = cluster_->show(id);
  EXPECT_EQ(show["state"], "SUCCEEDED");
  EXPECT_EQ(show["reason"], "finished");
  EXPECT_EQ(show["progress"]["step"], 60);
  EXPECT_EQ(show["progress"]["steps"], 60);
  EXPECT_EQ(show["progress"]["tokens"], 60 * 8 * 64);
  EXPECT_LT(show["progress"]["loss"], 3.5);  // a byte at random is ln 257 = 5.55
  EXPECT_LT(show["progress"]["eval_loss"], 3.5);
  EXPECT_GT(show["plan"]["peak_bytes_measured"], 0);
  EXPECT_GT(show["plan"]["peak_bytes_predicted"], 0);
  EXPECT_EQ(show["plan"]["micro_batch_size"].get<int>() *
                show["plan"]["gradient_accumulation_steps"].get<int>(),
            8);
  ASSERT_FALSE(show["checkpoints"].empty());
  const auto& newest = show["checkpoints"].back();
  EXPECT_EQ(newest["step"], 60);
  EXPECT_GT(newest["seconds"], 0);
  EXPECT_TRUE(fs::exists(newest["path"].get<std::string>() + "/manifest.json"));
  EXPECT_EQ(show["sample"]["prompt"], "line");
  EXPECT_EQ(show["sample"]["step"], 60);
  EXPECT_FALSE(show["sample"]["text"].get<std::string>().empty());
  EXPECT_GT(show["plan"]["device_flops"], 0);
  EXPECT_GT(show["progress"]["mfu"], 0);
  EXPECT_GT(show["progress"]["phase_seconds"]["compute"], 0);

  const auto metrics = cluster_->json({"metrics", std::to_string(id)});
  std::map<std::string, size_t> points;
  for (const auto& series : metrics["series"]) points[series["name"]] = series["points"].size();
  EXPECT_GE(points["loss"], 2u);
  EXPECT_EQ(points["eval_loss"], 3u);
  EXPECT_EQ(points["checkpoint_seconds"], 3u);
  for (const char* name : {"mfu", "data_seconds", "compute_seconds", "eval_seconds"}) {
    EXPECT_GE(points[name], 1u) << name;
  }

  const Output text = cluster_->llmctl(
      {"generate", std::to_string(id), "--prompt", "line 1", "--max-tokens", "24"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_GE(text.out.size(), 8u);
  EXPECT_EQ(cluster_->llmctl({"pause", std::to_string(id)}).err,
            "error: job " + std::to_string(id) + " has ended: succeeded\nhint: llmctl retry " +
                std::to_string(id) + " makes a new job that continues from it\n");
}

// What the loss is to be compared with: of a model that knows how frequent each byte is, no more.
TEST_F(Journey, TheLossIsShownBesideTheEntropyOfTheData) {
  const int64_t id = cluster_->submit(job("entropy", "max_steps: 60\n"));
  const auto show = cluster_->wait_state(id, "SUCCEEDED");
  const auto& progress = show["progress"];
  EXPECT_GT(progress["train_tokens"], 100'000);
  EXPECT_GT(progress["unigram_entropy"], 2.0);  // 4,000 lines of the same shape: about 3 nats
  EXPECT_LT(progress["unigram_entropy"], 4.0);
  EXPECT_LT(progress["loss"], progress["unigram_entropy"]);
  EXPECT_NE(cluster_->llmctl({"watch", std::to_string(id)}).out.find("unigram entropy"),
            std::string::npos);
}

TEST_F(Journey, GenerationGoesOnPastTheContext) {
  const int64_t id = cluster_->submit(job("long", "max_steps: 20\n"));
  cluster_->wait_state(id, "SUCCEEDED");
  const Output text = cluster_->llmctl({"generate", std::to_string(id), "--prompt", "line 1",
                                        "--max-tokens", "200", "--temperature", "0"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_GE(text.out.size(), 200u) << "the context holds 64 bytes: " << text.out;
}

TEST_F(Journey, AFailedJobSaysWhyWhereverOneLooks) {
  std::ofstream(cluster_->home() / "bad.jsonl") << R"({"words": "no text here"})"
                                                << "\n";
  const std::string file = job("bad", "max_steps: 5\n");
  const Output watched =
      cluster_->llmctl({"submit", file, "--set", "datasets=bad.jsonl", "--watch"});
  EXPECT_EQ(watched.code, 100) << watched.err;
  EXPECT_NE(watched.out.find("FAILED (bad_input)"), std::string::npos) << watched.out;
  for (const char* verb : {"show", "explain", "logs"}) {
    const Output answer = cluster_->llmctl({verb, "last"});
    EXPECT_EQ(answer.code, 0) << verb << ": " << answer.err;
    EXPECT_NE(answer.out.find("bad.jsonl"), std::string::npos) << verb << ": " << answer.out;
  }
}

TEST_F(Journey, TheSecondJobOfAShapeNeedsNoProbe) {
  const std::string file = job("again", "max_steps: 5\n");
  const int64_t first = cluster_->submit(file);
  cluster_->wait_state(first, "SUCCEEDED");
  const int64_t second = cluster_->submit(file, {"--set", "seed=7"});
  cluster_->wait_state(second, "SUCCEEDED");
  for (const auto& event : cluster_->events(second)) EXPECT_NE(event.value("to", ""), "PROBING");
  EXPECT_EQ(cluster_->show(second)["epoch"], 1);
}

TEST_F(Journey, OneKeyIsOneJob) {
  const std::string file = job("keyed", "max_steps: 2\n");
  const int64_t first = cluster_->submit(file, {"--key", "k1"});
  EXPECT_EQ(cluster_->submit(file, {"--key", "k1"}), first);
  EXPECT_EQ(cluster_->llmctl({"submit", file, "--key", "k1", "--set", "seed=9"}).code, 6);
  cluster_->wait_state(first, "SUCCEEDED");
  EXPECT_EQ(cluster_->submit(file, {"--key", "k1"}), first);
}

TEST_F(Journey, APausedJobGoesOnWhereItWas) {
  const int64_t id = cluster_->submit(job("pause", "max_steps: 1500\n"));
  cluster_->wait_step(id, 20);
  EXPECT_EQ(cluster_->llmctl({"pause", std::to_string(id)}).code, 0);
  const auto paused = cluster_->wait_until(
      id, [](const auto& s) { return s["state"] == "PAUSED" && !s["checkpoints"].empty(); });
  const int64_t step = paused["checkpoints"].back()["step"];
  EXPECT_GE(step, 20);
  EXPECT_EQ(cluster_->llmctl({"resume", std::to_string(id)}).code, 0);
  const auto done = cluster_->wait_state(id, "SUCCEEDED");
  EXPECT_EQ(done["progress"]["step"], 1500);
  EXPECT_EQ(done["attempts"], 2);
}

TEST_F(Journey, CancelWinsAndFreesTheDevice) {
  const int64_t id = cluster_->submit(job("cancel", "max_steps: 100000\n"));
  cluster_->wait_step(id, 5);
  const auto pids = cluster_->trainer_pids(id);
  ASSERT_FALSE(pids.empty());
  EXPECT_EQ(cluster_->llmctl({"cancel", std::to_string(id)}).code, 0);
  EXPECT_EQ(cluster_->show(id)["state"], "CANCELED");
  for (const pid_t pid : pids) wait_gone(pid);
  EXPECT_EQ(cluster_->llmctl({"wait", std::to_string(id)}).code, 103);
}

TEST_F(Journey, AGangOfTwoRanksStartsWholeAndTrains) {
  const int64_t id =
      cluster_->submit(job("gang", "max_steps: 30\nmicro_batch_size: 2\nresources: {ranks: 2}\n"));
  const auto done = cluster_->wait_state(id, "SUCCEEDED");
  EXPECT_EQ(done["progress"]["step"], 30);
  EXPECT_LT(done["progress"]["loss"], 4.5);
  for (const auto& event : cluster_->events(id)) {
    if (event.value("kind", "") == "train") {
      EXPECT_EQ(event["ranks"].size(), 2u);
    }
  }
}

// Two machines as far as the ranks can tell: each worker says another address.
TEST(GangAcrossWorkers, MeetsAtTheAddressOfRankZerosWorker) {
  Cluster cluster({"--cpu-memory", "1GiB", "--slots", "1"});
  ASSERT_EQ(cluster.llmctl({"drain", "w1"}).code, 0);
  for (const std::string last : {"2", "3"}) {
    cluster.start_worker("n" + last, {"--advertise-host", "127.0.0." + last, "--slots", "1",
                                      "--cpu-memory", "2GiB", "--threads", "1"});
  }
  std::ofstream(cluster.home() / "text.txt") << training_text(2000);
  const int64_t id = cluster.submit(cluster.write_job("gang", R"(name: gang
model: {architecture: llama, hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4}
datasets: [text.txt]
tokenizer: bytes
sequence_len: 64
micro_batch_size: 2
global_batch_size: 8
max_steps: 200
resources: {ranks: 2}
)"));
  const auto running = cluster.wait_step(id, 1);
  ASSERT_EQ(running["ranks"].size(), 2u);
  const std::string first = running["ranks"][0]["worker"], second = running["ranks"][1]["worker"];
  EXPECT_NE(first, second);
  const std::string run =
      std::to_string(id) + "-e" + std::to_string(running["epoch"].get<int64_t>()) + "-r1";
  const auto config = nlohmann::json::parse(
      file_text(cluster.home() / "workers" / second / "runs" / run / "config.json"));
  EXPECT_EQ(config["master_addr"], "127.0.0." + first.substr(1));
  EXPECT_EQ(cluster.wait_state(id, "SUCCEEDED")["progress"]["step"], 200);
}

// A probe that lies: the trainer is wrapped, and probes report a tenth of their peak. The run then
// gets less memory than it needs, whichever plan it chose, and runs out for real.
TEST(OutOfMemory, InARunBecomesASmallerPlan) {
  const testing::TestFolder folder("liar");
  const std::string liar = folder.path() / "trainer.sh";
  std::ofstream(liar) << "#!/bin/bash\n"
                         "if [[ $1 == probe ]]; then\n"
                         "  '" LLMCTL_BIN_DIR
                         "/llmctl-trainer' \"$@\" |\n"
                         "    sed -uE 's/\"peak_bytes\":([0-9]+)[0-9]/\"peak_bytes\":\\1/'\n"
                         "else exec '" LLMCTL_BIN_DIR "/llmctl-trainer' \"$@\"; fi\n";
  fs::permissions(liar, fs::perms::owner_all);
  Cluster cluster({"--cpu-memory", "4GiB", "--threads", "1", "--trainer", liar});
  std::ofstream(cluster.home() / "text.txt") << training_text(4000);
  const int64_t id = cluster.submit(cluster.write_job("oom", R"(name: oom
model: {architecture: llama, hidden_size: 256, num_hidden_layers: 4, num_attention_heads: 4}
datasets: [text.txt]
tokenizer: bytes
sequence_len: 256
global_batch_size: 32
max_steps: 3
)"));
  const auto done = cluster.wait_state(id, "SUCCEEDED");
  EXPECT_GE(done["plan"]["oom_refits"], 1);
  EXPECT_EQ(done["restarts"], 0);
  EXPECT_EQ(done["progress"]["step"], 3);
}

TEST_F(Journey, AJobTooBigForEveryDeviceFailsWithNumbers) {
  const int64_t id = cluster_->submit(cluster_->write_job("huge", R"(name: huge
model: {architecture: llama, hidden_size: 256, num_hidden_layers: 4, num_attention_heads: 4}
datasets: [text.txt]
max_steps: 2
resources: {memory: 16MiB}
)"));
  const auto show = cluster_->wait_state(id, "FAILED");
  EXPECT_EQ(show["reason"], "does_not_fit");
  const auto why = cluster_->json({"explain", std::to_string(id)});
  EXPECT_NE(why["evidence"].dump().find("16.0 MiB"), std::string::npos) << why;
  EXPECT_EQ(cluster_->llmctl({"wait", std::to_string(id)}).code, 100);
}

TEST_F(Journey, DrainMovesTheJobToTheOtherWorker) {
  const int64_t id = cluster_->submit(job("drain", "max_steps: 2500\n"));
  const auto before = cluster_->wait_step(id, 10);
  const std::string worker = before["ranks"][0]["worker"];
  EXPECT_EQ(cluster_->llmctl({"drain", worker}).code, 0);
  const auto after = cluster_->wait_until(id, [&](const auto& s) {
    return s["state"] == "RUNNING" && !s["ranks"].empty() && s["ranks"][0]["worker"] != worker;
  });
  EXPECT_EQ(after["attempts"], 2);
  EXPECT_EQ(cluster_->llmctl({"drain", worker, "--undo"}).code, 0);
  EXPECT_EQ(cluster_->wait_state(id, "SUCCEEDED")["progress"]["step"], 2500);
}

TEST_F(Journey, AnExportedModelIsContinuedFromItsEvalLoss) {
  const int64_t first = cluster_->submit(job("first", "max_steps: 40\nval_set_size: 0.1\n"));
  ASSERT_EQ(cluster_->llmctl({"wait", std::to_string(first)}).code, 0);
  const std::string model = (cluster_->home() / "exported").string();
  const auto figures = [&](std::vector<std::string> arguments) {  // the trainer's own document
    arguments.insert(arguments.end(), {"-o", "json"});
    return nlohmann::json::parse(cluster_->llmctl(arguments).out);
  };
  const auto written = figures({"export", std::to_string(first), model});
  EXPECT_EQ(written["path"], model);
  EXPECT_EQ(written["source"], "checkpoint");
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json", "README.md"}) {
    EXPECT_TRUE(fs::exists(model + "/" + file)) << file;
  }
  EXPECT_NE(cluster_->llmctl({"export", std::to_string(first), model}).code, 0);

  const std::string text = (cluster_->home() / "text.txt").string();
  const auto of_job = figures({"eval", std::to_string(first), "--text", text});
  EXPECT_EQ(figures({"eval", model, "--text", text}), of_job);
  EXPECT_GT(of_job["tokens"], 1000);

  // A learning rate that changes nothing: what it ends with is what it began with.
  const int64_t second = cluster_->submit(cluster_->write_job(
      "second", "name: second\nmodel: " + model +
                    "\ndatasets: [text.txt]\nsequence_len: 64\nglobal_batch_size: 8\n"
                    "learning_rate: 1e-12\nmax_steps: 1\nval_set_size: 0.1\n"));
  ASSERT_EQ(cluster_->llmctl({"wait", std::to_string(second)}).code, 0);
  const double before = cluster_->show(first)["progress"]["eval_loss"];
  const double after = cluster_->show(second)["progress"]["eval_loss"];
  EXPECT_NEAR(after, before, 1e-5 * before);
}

}  // namespace llmctl::e2e

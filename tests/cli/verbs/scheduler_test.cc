// The verbs against a real scheduler process without workers: documents, ids, exit codes, and a
// watcher that outlives a restart of the scheduler.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/app/command_line.h"
#include "cli/cluster/home.h"
#include "tests/cli/answer.h"
#include "tests/processes/patience.h"
#include "tests/processes/test_folder.h"

namespace llmctl {

using nlohmann::json;

// Tells another thread that something was written and flushed.
struct NoticingBuffer : std::stringbuf {
  int sync() override {
    written = true;
    return 0;
  }
  std::atomic<bool> written = false;
};

class SchedulerTest : public ::testing::Test {
 protected:
  SchedulerTest() {
    home_.dir = env_.home = folder_.path();
    env_.bin_dir = LLMCTL_BIN_DIR;
    CHECK(make_home(home_).ok());
    start("127.0.0.1:0");
    job_file_ = home_.dir + "/job.yaml";
    std::ofstream(home_.dir + "/text.txt") << "to be or not to be\n";
    std::ofstream(job_file_) << "name: tiny\nmodel: llama-1m\ndatasets: [text.txt]\nmax_steps: 5\n";
  }
  ~SchedulerTest() override { stop_process(process_, testing::kPatienceMs); }

  void start(const std::string& listen) {
    const auto process = start_detached(
        {"scheduler",
         {env_.bin_dir + "/llmctl-scheduler", "--data-dir", home_.scheduler_dir(), "--listen",
          listen, "--metrics-listen", "127.0.0.1:0", "--token-file", home_.token_path()},
         home_.log_path("scheduler")});
    ASSERT_TRUE(process.ok()) << process.error().message;
    process_ = *process;
    json ready;
    ASSERT_TRUE(testing::eventually([&] {
      std::ifstream file(home_.scheduler_dir() + "/scheduler.json");
      ready = json::parse(file, nullptr, false);
      return ready.is_object() && ready.value("pid", int64_t{0}) == process_.pid;
    })) << log_tail(home_.log_path("scheduler"), 10);
    address_ = ready["address"];
    ClusterRecord record;
    record.address = address_;
    record.processes = {process_};
    ASSERT_TRUE(write_cluster(home_, record).ok());
  }

  Answer run(const std::vector<std::string>& arguments) const {
    return run_llmctl(env_, arguments);
  }

  int64_t submit() const {
    return run({"submit", job_file_, "-o", "json"}).document().value("id", int64_t{0});
  }

  const testing::TestFolder folder_{"verbs"};
  Home home_;
  Environment env_;
  ProcessRecord process_;
  std::string address_, job_file_;
};

TEST_F(SchedulerTest, SubmitThenShowThenList) {
  const Answer submitted = run({"submit", job_file_, "-o", "json"});
  ASSERT_EQ(submitted.code, 0) << submitted.out;
  EXPECT_EQ(submitted.document()["state"], "QUEUED");
  const json show = run({"show", "last", "-o", "json"}).document();
  EXPECT_EQ(show["id"], submitted.document()["id"]);
  EXPECT_EQ(show["name"], "tiny");
  EXPECT_EQ(show["spec"]["max_steps"], 5);
  EXPECT_TRUE(show["progress"]["loss"].is_null());
  for (const char* field :
       {"state", "reason", "priority", "attempts", "epoch", "plan", "progress", "checkpoints"}) {
    EXPECT_TRUE(show.contains(field)) << field;
  }
  const json list = run({"ls", "-o", "json"}).document();
  ASSERT_EQ(list["jobs"].size(), 1u);
  const Answer table = run({"show"});
  EXPECT_NE(table.out.find("submitted \"tiny\""), std::string::npos) << table.out;  // timeline
}

TEST_F(SchedulerTest, AListForScriptsIsWholeAndOneOfNothingSaysWhatItLookedFor) {
  for (int i = 0; i < 103; ++i) ASSERT_GT(submit(), 0);
  EXPECT_EQ(run({"ls", "-o", "json"}).document()["jobs"].size(), 103u);
  EXPECT_EQ(run({"ls", "-o", "json", "--limit", "5"}).document()["jobs"].size(), 5u);
  EXPECT_NE(run({"ls"}).err.find("--limit"), std::string::npos);
  EXPECT_EQ(run({"ls", "--state", "running"}).err.find("submit"), std::string::npos);
  EXPECT_EQ(run({"show", "99999"}).err.find("--all"), std::string::npos);
}

// Its own newest event is not the newest of all: nothing more comes of it, and nobody waits for it.
TEST_F(SchedulerTest, EveryScreenOfAWaitingJobEndsThoughOthersGoOn) {
  for (int i = 0; i < 3; ++i) ASSERT_GT(submit(), 0);
  for (const char* verb : {"show", "explain", "metrics"}) {
    for (const char* form : {"table", "json"}) {
      EXPECT_EQ(run({verb, "2", "-o", form}).code, 0) << verb << " -o " << form;
    }
  }
  EXPECT_NE(run({"show", "2"}).out.find("submitted \"tiny\""), std::string::npos);
}

TEST_F(SchedulerTest, AKeyMakesSubmitRepeatable) {
  const json first = run({"submit", job_file_, "--key", "k", "-o", "json"}).document();
  const json again = run({"submit", job_file_, "--key", "k", "-o", "json"}).document();
  EXPECT_EQ(first["id"], again["id"]);
  EXPECT_EQ(again["existed"], true);
  EXPECT_EQ(run({"submit", job_file_, "--key", "k", "--set", "seed=9"}).code, kExitConflict);
}

TEST_F(SchedulerTest, EveryFormOfIdReachesItsJobs) {
  for (int i = 0; i < 4; ++i) ASSERT_GT(submit(), 0);
  EXPECT_EQ(run({"priority", "2-3", "90"}).code, 0);
  EXPECT_EQ(run({"show", "2", "-o", "json"}).document()["priority"], 90);
  EXPECT_EQ(run({"show", "3", "-o", "json"}).document()["priority"], 90);
  EXPECT_EQ(run({"show", "4", "-o", "json"}).document()["priority"], 50);
  EXPECT_EQ(run({"cancel", "1,last", "-o", "json"}).document()["jobs"].size(), 2u);
  EXPECT_EQ(run({"show", "4", "-o", "json"}).document()["state"], "CANCELED");
  const Answer ambiguous = run({"show", "tiny"});
  EXPECT_EQ(ambiguous.code, kExitUsage);
  EXPECT_NE(ambiguous.err.find("4 jobs"), std::string::npos) << ambiguous.err;
  EXPECT_EQ(run({"show", "no-such-name"}).code, kExitNotFound);
  EXPECT_EQ(run({"show", "99"}).code, kExitNotFound);
  EXPECT_EQ(run({"cancel", "50-60"}).code, kExitNotFound);
}

TEST_F(SchedulerTest, TheExitCodeOfWaitTellsTheJobsEnd) {
  const std::string id = std::to_string(submit());
  EXPECT_EQ(run({"wait", id, "--timeout", "50ms"}).code, kExitJobUnfinished);
  EXPECT_EQ(run({"cancel", id}).code, 0);
  EXPECT_EQ(run({"wait", id}).code, kExitJobCanceled);
  const Answer late = run({"pause", id});
  EXPECT_EQ(late.code, kExitConflict);
  EXPECT_EQ(late.err,
            "error: job 1 has ended: canceled\n"
            "hint: llmctl retry 1 makes a new job that continues from it\n");
  EXPECT_EQ(run({"cancel", id}).code, 0);
}

TEST_F(SchedulerTest, WithoutAWorkerEverythingSaysSo) {
  submit();
  const Answer why = run({"explain", "last"});
  EXPECT_EQ(why.code, 0);
  EXPECT_NE(why.out.find("worker"), std::string::npos) << why.out;
  EXPECT_EQ(run({"plan", job_file_}).code, 0);
  EXPECT_EQ(run({"plan", job_file_, "-o", "json"}).document()["origin"]["name"], "given");
  EXPECT_EQ(run({"workers", "-o", "json"}).document()["workers"].size(), 0u);
  EXPECT_EQ(run({"drain", "w9"}).code, kExitNotFound);
  EXPECT_EQ(run({"generate", "last", "--prompt", "x"}).code, kExitConflict);
  EXPECT_EQ(run({"checkpoints", "last", "-o", "json"}).document()["checkpoints"].size(), 0u);
  EXPECT_TRUE(run({"metrics", "last", "-o", "json"}).document()["series"].is_array());
}

TEST_F(SchedulerTest, PlanListsTheFieldsOfAnInlineModel) {
  std::ofstream(job_file_) << "model: {hidden_size: 64, num_hidden_layers: 3, "
                              "num_attention_heads: 4, num_key_value_heads: 2}\n"
                              "datasets: [text.txt]\nmax_steps: 5\n";
  const Answer plan = run({"plan", job_file_});
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_NE(plan.out.find("model.hidden_size"), std::string::npos) << plan.out;
  EXPECT_NE(plan.out.find("llama, 3 layers of 64, 4 heads (2 key/value), MLP 192\n"
                          "            vocabulary 257, tied; "),
            std::string::npos)
      << plan.out;
  EXPECT_EQ(plan.out.find("{\"architecture\""), std::string::npos) << plan.out;
}

TEST_F(SchedulerTest, PlanListsWhatAModelsConfigSaysOnlyWhenAsked) {
  const std::filesystem::path model = std::filesystem::path(job_file_).parent_path() / "tiny";
  std::filesystem::create_directories(model);
  std::ofstream(model / "config.json")
      << R"({"model_type": "llama", "vocab_size": 257, "hidden_size": 64, "rope_theta": 10000,
             "intermediate_size": 192, "num_hidden_layers": 3, "num_attention_heads": 4})";
  std::ofstream(job_file_) << "model: ./tiny\ndatasets: [text.txt]\nmax_steps: 5\n";
  const Answer plan = run({"plan", job_file_}), all = run({"plan", job_file_, "--all"});
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_EQ(plan.out.find("model.hidden_size"), std::string::npos) << plan.out;
  EXPECT_NE(all.out.find("model.hidden_size"), std::string::npos) << all.out;
}

TEST_F(SchedulerTest, AWrongTokenIsAnAuthError) {
  Environment right = env_;
  env_.token = "wrong";
  EXPECT_EQ(run({"ls"}).code, kExitAuth);
  env_ = right;
  env_.server = address_;
  EXPECT_EQ(run({"ls"}).code, 0);
}

TEST_F(SchedulerTest, CompletionOffersJobsByIdAndName) {
  submit();
  EXPECT_EQ(run({"__complete", "--", "show", ""}).out, "last\n1\ntiny\n");
  EXPECT_EQ(run({"__complete", "--", "cancel", "t"}).out, "tiny\n");
}

TEST_F(SchedulerTest, AWatcherSurvivesARestartOfTheSchedulerWithoutAGap) {
  const std::string id = std::to_string(submit());
  NoticingBuffer buffer;
  auto watching = std::async(std::launch::async, [&] {
    std::ostream out(&buffer);
    std::ostringstream err;
    const SystemClock clock;
    Context context{env_, OutputFormat::table, out, err, {}, {}, clock};
    return run_cli({"watch", id, "--from", "1", "-o", "json"}, context);
  });
  ASSERT_TRUE(testing::eventually([&] { return buffer.written.load(); }));
  ASSERT_EQ(run({"priority", id, "60"}).code, 0);
  kill(static_cast<pid_t>(process_.pid), SIGKILL);
  stop_process(process_, testing::kPatienceMs);
  start(address_);
  ASSERT_EQ(run({"priority", id, "70"}).code, 0);
  ASSERT_EQ(run({"cancel", id}).code, 0);
  EXPECT_EQ(watching.get(), kExitJobCanceled);
  std::istringstream lines(buffer.str());
  std::vector<std::string> types;
  int64_t last_seq = 0;
  for (std::string line; std::getline(lines, line);) {
    const json event = json::parse(line);
    if (event["seq"] == 0) continue;  // volatile
    EXPECT_GT(event["seq"], last_seq);
    last_seq = event["seq"];
    types.push_back(event["type"]);
  }
  EXPECT_EQ(std::count(types.begin(), types.end(), "PriorityChanged"), 2);
  EXPECT_EQ(types.front(), "JobSubmitted");
  EXPECT_EQ(types.back(), "JobMoved");
}

}  // namespace llmctl

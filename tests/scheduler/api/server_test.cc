// The real scheduler process over loopback, on real files.
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <chrono>
#include <set>

#include "core/base/limits.h"
#include "tests/scheduler/api/scheduler_process.h"

namespace llmctl::testing {
namespace {

struct Fixture : ::testing::Test {
  TestFolder home{"scheduler"};
  std::string data_dir = home.path() / "data";
  SchedulerProcess scheduler{data_dir};
};
using Server = Fixture;
using Submit = Fixture;
using Change = Fixture;
using Watch = Fixture;
using List = Fixture;
using Access = Fixture;

std::vector<v1::Event> watch(SchedulerProcess& scheduler, int64_t from, int64_t until_seq) {
  v1::WatchRequest request;
  request.set_from_seq(from);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  const auto stream = scheduler.stub->Watch(&context, request);
  std::vector<v1::Event> events;
  v1::Event event;
  while ((events.empty() || events.back().seq() < until_seq) && stream->Read(&event)) {
    events.push_back(event);
  }
  context.TryCancel();
  return events;
}

TEST_F(Submit, SurvivesKillOfTheProcess) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  const int64_t id = scheduler.submit(small_spec("kept"));
  ASSERT_TRUE(scheduler.restart(SIGKILL)) << scheduler.log();
  v1::Job job;
  ASSERT_TRUE(scheduler.get(id, &job).ok());
  EXPECT_EQ(job.name(), "kept");
  EXPECT_EQ(job.state(), "QUEUED");
  EXPECT_EQ(parse_spec_json(job.spec_json()).value(), small_spec("kept"));
}

TEST_F(Submit, OneKeyIsOneJobUnder64Threads) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  std::vector<int64_t> ids(64);
  std::vector<std::jthread> clients;
  for (size_t i = 0; i < ids.size(); ++i) {
    clients.emplace_back(
        [&, i] { ids[i] = scheduler.submit(small_spec("same"), "key-" + std::to_string(i % 4)); });
  }
  clients.clear();
  EXPECT_EQ(std::set<int64_t>(ids.begin(), ids.end()).size(), 4U);
}

TEST_F(Submit, KnowsTheKeyOfAFinishedJobAfterARestart) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  const int64_t id = scheduler.submit(small_spec("once"), "key");
  v1::Job job;
  ASSERT_TRUE(scheduler.cancel(id, &job).ok());
  EXPECT_EQ(job.state(), "CANCELED");
  ASSERT_TRUE(scheduler.restart(SIGTERM)) << scheduler.log();
  v1::SubmitResponse again;
  ASSERT_TRUE(scheduler.submit(small_spec("once"), "key", &again).ok());
  EXPECT_EQ(again.job_id(), id);
  EXPECT_TRUE(again.existed());
  const grpc::Status other = scheduler.submit(small_spec("other"), "key", &again);
  EXPECT_EQ(other.error_code(), grpc::StatusCode::ALREADY_EXISTS);
}

TEST_F(Change, OfAnEndedJobIsRefusedInOtherWordsThanOfAnUnknownOne) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  const int64_t id = scheduler.submit(small_spec("over"));
  v1::Job job;
  ASSERT_TRUE(scheduler.cancel(id, &job).ok());
  v1::JobRequest request;
  request.set_job_id(id);
  for (const auto method : {&v1::Scheduler::Stub::Pause, &v1::Scheduler::Stub::Resume}) {
    grpc::ClientContext context;
    const grpc::Status status = (scheduler.stub.get()->*method)(&context, request, &job);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(status.error_message(),
              "job 1 has ended: canceled\n"
              "hint: llmctl retry 1 makes a new job that continues from it");
    request.set_job_id(id + 1);
    grpc::ClientContext unknown;
    EXPECT_EQ((scheduler.stub.get()->*method)(&unknown, request, &job).error_code(),
              grpc::StatusCode::NOT_FOUND);
    request.set_job_id(id);
  }
  v1::SetPriorityRequest priority;
  priority.set_job_id(id);
  priority.set_priority(80);
  grpc::ClientContext context;
  EXPECT_EQ(scheduler.stub->SetPriority(&context, priority, &job).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(Change, ARetryOfALiveJobIsRefused) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  v1::RetryRequest request;
  request.set_job_id(scheduler.submit(small_spec("live")));
  v1::SubmitResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(scheduler.stub->Retry(&context, request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(Change, APriorityOutOfRangeIsRefused) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  v1::SetPriorityRequest request;
  request.set_job_id(scheduler.submit(small_spec("urgent")));
  v1::Job job;
  for (const int64_t priority : {-1, 101}) {
    request.set_priority(priority);
    grpc::ClientContext context;
    EXPECT_EQ(scheduler.stub->SetPriority(&context, request, &job).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(Change, CancelingWhatIsCanceledIsDoneAlready) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  const int64_t id = scheduler.submit(small_spec("twice"));
  v1::Job job;
  ASSERT_TRUE(scheduler.cancel(id, &job).ok());
  EXPECT_TRUE(scheduler.cancel(id, &job).ok());
  EXPECT_EQ(job.state(), "CANCELED");
  EXPECT_EQ(scheduler.cancel(id + 1, &job).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(Submit, NamesTheFieldOfABadSpec) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  JobSpec spec = small_spec("bad");
  spec.learning_rate = -1;
  v1::SubmitResponse response;
  const grpc::Status status = scheduler.submit(spec, "", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("learning_rate"), std::string::npos);
}

TEST_F(Submit, OfATextThatIsLongOnlyWhenItIsWrittenOutIsRefusedAndTheStoreStaysReadable) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  const std::string part(4'065, 'x');
  std::string text = R"({"model": "llama-1m", "max_steps": 1, "datasets": [)";
  for (int i = 0; i < limits::kDatasets; ++i) {
    text += (i == 0 ? R"({"path": "/)" : R"(, {"path": "/)") + part + R"(", "field": ")" + part +
            R"(", "field_system": ")" + part + R"(", "field_input": ")" + part + R"("})";
  }
  text += "]}";
  ASSERT_LT(text.size(), static_cast<size_t>(limits::kJobFileBytes));
  v1::SubmitResponse response;
  const grpc::Status status = scheduler.submit_text(text, "", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("written out"), std::string::npos)
      << status.error_message();
  ASSERT_TRUE(scheduler.restart(SIGKILL)) << scheduler.log();
}

// Submits until the scheduler refuses; the ids it acknowledged.
std::set<int64_t> submit_until_refused(SchedulerProcess& scheduler, grpc::Status& refusal) {
  JobSpec big = small_spec("big");
  for (int i = 0; i < 32; ++i) big.labels["label-" + std::to_string(i)] = std::string(100, 'x');
  std::set<int64_t> acknowledged;
  for (int i = 0; i < 10'000 && refusal.ok(); ++i) {
    v1::SubmitResponse response;
    refusal = scheduler.submit(big, "", &response);
    if (refusal.ok()) acknowledged.insert(response.job_id());
  }
  return acknowledged;
}

TEST_F(Submit, IsRefusedWhenTheStoreCannotGrowAndNothingIsLost) {
  scheduler.before_exec = [] {  // no file may grow beyond 9 MiB
    const rlimit limit{9 << 20, 9 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  };
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  grpc::Status refusal;
  const auto acknowledged = submit_until_refused(scheduler, refusal);
  ASSERT_FALSE(refusal.ok());
  ASSERT_FALSE(acknowledged.empty());
  scheduler.before_exec = nullptr;
  ASSERT_TRUE(scheduler.restart(SIGKILL)) << scheduler.log();
  for (const int64_t id : acknowledged) {
    v1::Job job;
    ASSERT_TRUE(scheduler.get(id, &job).ok()) << id;
  }
  EXPECT_EQ(scheduler.submit(small_spec("next")), *acknowledged.rbegin() + 1);
}

TEST_F(Submit, WorksAgainOnceAFullDiskHasRoom) {
  std::filesystem::create_directory(data_dir);
  if (::mount("none", data_dir.c_str(), "tmpfs", 0, "size=24m") != 0) {
    GTEST_SKIP() << "needs the right to mount a small tmpfs";
  }
  const std::string filler = data_dir + "/filler";
  std::ofstream(filler) << std::string(8 << 20, 'x');
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  grpc::Status refusal;
  const auto acknowledged = submit_until_refused(scheduler, refusal);
  EXPECT_EQ(refusal.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << refusal.error_message();
  v1::Job job;  // the reserve leaves room for ends
  EXPECT_TRUE(scheduler.cancel(*acknowledged.begin(), &job).ok()) << scheduler.log();
  EXPECT_TRUE(scheduler.get(*acknowledged.rbegin(), &job).ok());
  std::filesystem::remove(filler);
  v1::SubmitResponse response;
  EXPECT_TRUE(eventually([&] { return scheduler.submit(small_spec("x"), "", &response).ok(); }))
      << scheduler.log();
  scheduler.stop(SIGKILL);
  ::umount2(data_dir.c_str(), MNT_DETACH);
}

TEST_F(Submit, TenThousandLiveJobsAreThereAfterARestart) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  std::vector<std::jthread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&] {
      for (int k = 0; k < 625; ++k) scheduler.submit(small_spec("many"));
    });
  }
  clients.clear();
  ASSERT_TRUE(scheduler.restart(SIGKILL)) << scheduler.log();
  v1::ServerInfoResponse info;
  grpc::ClientContext context;
  ASSERT_TRUE(scheduler.stub->ServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.jobs_live(), 10'000);
}

TEST_F(Watch, HasNoGapAcrossARestart) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  for (int i = 0; i < 700; ++i) scheduler.submit(small_spec("before"));
  const auto first = watch(scheduler, 1, 650);
  ASSERT_FALSE(first.empty());
  ASSERT_TRUE(scheduler.restart(SIGKILL)) << scheduler.log();
  std::jthread submitting([&] {
    for (int i = 0; i < 50; ++i) scheduler.submit(small_spec("after"));
  });
  auto all = first;
  const auto second = watch(scheduler, first.back().seq() + 1, 750);
  all.insert(all.end(), second.begin(), second.end());
  ASSERT_GE(all.size(), 750U);
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i].seq(), static_cast<int64_t>(i) + 1);
}

TEST_F(Watch, OfWhatHasHappenedEndsWithIt) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  const int64_t id = scheduler.submit(small_spec("waits"));
  scheduler.submit(small_spec("later"));
  v1::WatchRequest request;
  request.set_job_id(id);
  request.set_from_seq(1);
  request.set_until_now(true);
  grpc::ClientContext context;
  const auto reader = scheduler.stub->Watch(&context, request);
  v1::Event event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_TRUE(event.has_job_submitted());
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(Watch, EndsWhenTheJobIsDone) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  const int64_t id = scheduler.submit(small_spec("short"));
  v1::WatchRequest request;
  request.set_job_id(id);
  request.set_from_seq(1);
  request.set_until_done(true);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  const auto stream = scheduler.stub->Watch(&context, request);
  v1::Event event;
  ASSERT_TRUE(stream->Read(&event));
  EXPECT_TRUE(event.has_job_submitted());
  v1::Job job;
  ASSERT_TRUE(scheduler.cancel(id, &job).ok());
  bool canceled = false;
  while (stream->Read(&event)) canceled = canceled || event.job_moved().to() == "CANCELED";
  EXPECT_TRUE(canceled);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(List, PagesThroughAllJobsOnceAndFilters) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  JobSpec red = small_spec("red");
  red.labels["color"] = "red";
  for (int i = 0; i < 25; ++i) scheduler.submit(i % 5 == 0 ? red : small_spec("plain"));
  v1::Job job;
  ASSERT_TRUE(scheduler.cancel(1, &job).ok());
  std::set<int64_t> seen;
  v1::ListRequest request;
  request.set_page_size(10);
  v1::ListResponse page;
  do {
    grpc::ClientContext context;
    ASSERT_TRUE(scheduler.stub->List(&context, request, &page).ok());
    for (const v1::Job& one : page.jobs()) EXPECT_TRUE(seen.insert(one.id()).second);
    request.set_page_token(page.next_page_token());
  } while (!page.next_page_token().empty());
  EXPECT_EQ(seen.size(), 25U);

  v1::ListRequest filtered;
  filtered.add_states("QUEUED");
  (*filtered.mutable_labels())["color"] = "red";
  grpc::ClientContext context;
  ASSERT_TRUE(scheduler.stub->List(&context, filtered, &page).ok());
  EXPECT_EQ(page.jobs_size(), 4);  // job 1 was red too
}

TEST_F(List, RefusesATokenItDidNotGive) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  v1::ListRequest request;
  request.set_page_token("1; DROP TABLE jobs");
  v1::ListResponse page;
  grpc::ClientContext context;
  EXPECT_EQ(scheduler.stub->List(&context, request, &page).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(Server, PlansWithoutSubmitting) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  v1::PlanRequest request;
  request.set_spec_json(spec_text(small_spec("dry")));
  v1::PlanResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(scheduler.stub->Plan(&context, request, &response).ok());
  EXPECT_GT(response.candidates_size(), 0);
  EXPECT_GT(response.chosen().micro_batch_size(), 0);
  EXPECT_FALSE(response.from_profile());
  EXPECT_EQ(response.placement_size(), 0);  // there is no worker
  EXPECT_FALSE(response.explanation().headline().empty());
  v1::Job job;
  EXPECT_EQ(scheduler.get(0, &job).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(Server, SaysNotFoundForUnknownJobs) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  v1::Job job;
  EXPECT_EQ(scheduler.get(0, &job).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(scheduler.get(17, &job).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(scheduler.cancel(17, &job).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(scheduler.get(-1, &job).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// Connections that say nothing.
class SilentClients {
 public:
  SilentClients(const std::string& address, int count) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(static_cast<in_port_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    for (int i = 0; i < count; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0);
      open_.push_back(fd);
    }
  }
  ~SilentClients() {
    for (const int fd : open_) ::close(fd);
  }

 private:
  std::vector<int> open_;
};

// Sets the limits of open files of the process that is about to be the scheduler.
std::function<void()> descriptors(rlim_t soft, rlim_t hard) {
  return [soft, hard] {
    const rlimit limit{soft, hard};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  };
}

bool answers(SchedulerProcess& scheduler) {
  return eventually([&] {
    v1::JobRequest request;
    request.set_job_id(1);
    v1::Job job;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    return scheduler.stub->Get(&context, request, &job).error_code() == grpc::StatusCode::NOT_FOUND;
  });
}

TEST_F(Server, HearsAgainAfterMoreSilentClientsThanItMayHaveFiles) {
  scheduler.before_exec = descriptors(300, 300);
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  {
    const SilentClients many(scheduler.address(), 400);
    EXPECT_TRUE(eventually([&] {
      return scheduler.log().find("too many connections") != std::string::npos;
    })) << scheduler.log();
  }
  EXPECT_TRUE(answers(scheduler)) << scheduler.log();
}

TEST_F(Server, HearsBesideAsManySilentClientsAsItsHardLimitHasRoomFor) {
  scheduler.before_exec = descriptors(64, 1'024);
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  const SilentClients many(scheduler.address(), 500);
  EXPECT_TRUE(answers(scheduler)) << scheduler.log();
}

TEST_F(Server, RefusesASecondSchedulerOnItsDirectory) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  SchedulerProcess second(data_dir);
  const std::string announced = data_dir + "/scheduler.json";
  std::filesystem::copy(announced, announced + ".kept");
  EXPECT_FALSE(second.start());
  EXPECT_NE(second.log().find("another scheduler"), std::string::npos);
}

TEST_F(Server, RefusesADamagedStoreAndLeavesItAlone) {
  ASSERT_TRUE(scheduler.start()) << scheduler.log();
  for (int i = 0; i < 50; ++i) scheduler.submit(small_spec("job"));
  scheduler.stop(SIGTERM);
  const std::string store = data_dir + "/store.db";
  const auto size = std::filesystem::file_size(store);
  std::fstream file(store, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file << std::string(static_cast<size_t>(size) - 8192, '\xA5');
  file.close();
  EXPECT_FALSE(scheduler.start());
  EXPECT_NE(scheduler.log().find("damaged"), std::string::npos) << scheduler.log();
  EXPECT_EQ(std::filesystem::file_size(store), size);
}

TEST_F(Access, RefusesEveryMethodWithoutTheToken) {
  std::ofstream(home.path() / "token") << "0123456789abcdef0123456789abcdef\n";
  SchedulerProcess guarded(data_dir, {"--token-file", home.path() / "token"});
  ASSERT_TRUE(guarded.start()) << guarded.log();
  v1::Job job;
  EXPECT_EQ(guarded.get(1, &job).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  v1::JobRequest request;
  request.set_job_id(1);
  for (const auto& [token, expected] :
       {std::pair{"0123456789abcdef0123456789abcdef", grpc::StatusCode::NOT_FOUND},
        std::pair{"0123456789abcdef0123456789abcdeF", grpc::StatusCode::UNAUTHENTICATED},
        std::pair{"", grpc::StatusCode::UNAUTHENTICATED}}) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", std::string("Bearer ") + token);
    EXPECT_EQ(guarded.stub->Get(&context, request, &job).error_code(), expected) << token;
  }
}

TEST_F(Access, RefusesToListenForOthersWithoutTokenAndTls) {
  SchedulerProcess open(data_dir, {"--listen", "0.0.0.0:0"});
  EXPECT_FALSE(open.start());
  EXPECT_NE(open.log().find("without a token and TLS"), std::string::npos) << open.log();
}

}  // namespace
}  // namespace llmctl::testing

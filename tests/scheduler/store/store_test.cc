// SQLite on real files: what was committed is there, what was not is not.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "scheduler/store/job_row.h"
#include "scheduler/store/sqlite_archive.h"
#include "scheduler/store/sqlite_store.h"
#include "tests/processes/test_folder.h"

namespace llmctl {
namespace {

struct Fixture : ::testing::Test {
  std::unique_ptr<SqliteStore> open() {
    auto store = SqliteStore::open(path);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return std::move(store).value();
  }
  // Appends a submission and its row to the open transaction, and applies it.
  void submit(SqliteStore& store, State& state, const std::string& key = "") const {
    Event event;
    event.seq = Seq{state.last_seq.value + 1};
    event.unix_ms = 1'000;
    event.job = JobId{state.last_job.value + 1};
    JobSpec spec;
    spec.name = "job";
    spec.model.preset = presets().front().name;
    spec.model.config = presets().front().config;
    spec.datasets = {DatasetSpec{"/data/text.txt", "text", "text"}};
    spec.max_steps = 10;
    spec = parse_spec_json(spec_text(spec)).value();  // as every spec that is ever stored
    event.body = JobSubmitted{spec, key, {}, {}};
    apply(state, event);
    ASSERT_TRUE(store.append(event).ok());
    ASSERT_TRUE(store.put_job(job_record(state, state.jobs.at(event.job), false)).ok());
  }

  // What is stored, but for the id that each store makes.
  static State facts(SqliteStore& store) {
    State state = store.load().value();
    state.cluster_id.clear();
    return state;
  }

  const testing::TestFolder folder{"store"};
  const std::string path = folder.path() / "store.db";
};
using Store = Fixture;
using Archive = Fixture;

TEST_F(Store, KeepsTheIdOfItsCluster) {
  const std::string id = open()->load()->cluster_id;
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(open()->load()->cluster_id, id);
}

TEST_F(Store, LoadsAJobThatIsNotUnderstoodAnyMore) {
  const std::string text = R"({"name": "of another version"})";
  {
    const auto store = open();
    State state;
    submit(*store, state);
    Event event;
    event.seq = Seq{state.last_seq.value + 1};
    event.job = JobId{2};
    event.body = JobSubmitted{SharedSpec::stored(text), "", {}, {}};
    apply(state, event);
    ASSERT_TRUE(store->append(event).ok());
    ASSERT_TRUE(store->put_job(job_record(state, state.jobs.at(JobId{2}), false)).ok());
    ASSERT_TRUE(store->commit().ok());
  }
  auto loaded = open()->load();
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->jobs.at(JobId{1}).spec.problem(), "");
  EXPECT_NE(loaded->jobs.at(JobId{2}).spec.problem(), "");
  EXPECT_EQ(loaded->jobs.at(JobId{2}).spec.text(), text);
}

TEST_F(Store, LoadsWhatWasCommittedAndNothingElse) {
  State state;
  {
    const auto store = open();
    submit(*store, state);
    submit(*store, state);
    ASSERT_TRUE(store->commit().ok());
    State ahead = state;
    submit(*store, ahead);  // never committed
  }
  const auto again = open();
  auto loaded = again->load();
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->cluster_id.size(), 32u);
  EXPECT_EQ(facts(*again), state);
}

TEST_F(Store, ForgetsARolledBackTransaction) {
  const auto store = open();
  State state;
  submit(*store, state);
  ASSERT_TRUE(store->commit().ok());
  State ahead = state;
  submit(*store, ahead);
  store->rollback();
  EXPECT_EQ(facts(*store), state);
}

TEST_F(Store, DoesNotReplayFinishedJobs) {
  const auto store = open();
  State state;
  submit(*store, state);
  submit(*store, state);
  Job job = state.jobs.at(JobId{1});
  Event moved;
  moved.seq = Seq{3};
  moved.job = JobId{1};
  moved.body = JobMoved{JobState::queued, JobState::canceled, Reason::user_canceled, "", 0};
  apply(job, moved);
  apply(state, moved);
  ASSERT_TRUE(store->append(moved).ok());
  ASSERT_TRUE(store->put_job(job_record(state, job, true)).ok());
  ASSERT_TRUE(store->commit().ok());
  const State loaded = store->load().value();
  EXPECT_EQ(loaded.jobs.size(), 1U);
  EXPECT_EQ(loaded.last_job, JobId{2});
  EXPECT_EQ(loaded.last_seq, Seq{3});
  const auto archive = SqliteArchive::open(path);
  EXPECT_EQ((*archive)->job(JobId{1})->state(), "CANCELED");
}

TEST_F(Store, FindsAKeyBeforeAndAfterTheCommit) {
  const auto store = open();
  State state;
  submit(*store, state, "key");
  EXPECT_EQ(store->find_key("key").value()->job, JobId{1});
  ASSERT_TRUE(store->commit().ok());
  EXPECT_EQ(store->find_key("key").value()->job, JobId{1});
  EXPECT_FALSE(store->find_key("other").value().has_value());
}

TEST_F(Store, KeepsProfilesWithoutTheirJobs) {
  Profile profile;
  profile.cap_bytes = 123;
  profile.results = {ProbeResult{4, Checkpointing::block, false, {1, 2, 3, 4, 5, 6}, 21, 0.5}};
  const auto store = open();
  ASSERT_TRUE(store->put_profile("key", profile).ok());
  ASSERT_TRUE(store->commit().ok());
  EXPECT_EQ(store->load().value().profiles.at("key"), profile);
}

TEST_F(Store, KeepsTheNewestProfilesOnly) {
  const auto store = open();
  for (size_t i = 0; i < kProfiles + 5; ++i) {
    ASSERT_TRUE(store->put_profile("key " + std::to_string(i), {}).ok());
  }
  ASSERT_TRUE(store->put_profile("key 3", {}).ok());  // measured again
  ASSERT_TRUE(store->commit().ok());
  const State state = store->load().value();
  EXPECT_EQ(state.profiles.size(), kProfiles);
  EXPECT_TRUE(state.profiles.contains("key 3"));
  EXPECT_FALSE(state.profiles.contains("key 4"));
}

TEST_F(Store, RefusesANewerSchema) {
  open();
  Database database = Database::open(path, false).value();
  ASSERT_TRUE(database.execute("PRAGMA user_version = 99").ok());
  const auto store = SqliteStore::open(path);
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, Code::data_loss);
  EXPECT_NE(store.error().message.find("newer llmctl (schema 99"), std::string::npos);
}

TEST_F(Store, RefusesAnOlderSchema) {
  open();
  Database database = Database::open(path, false).value();
  ASSERT_TRUE(database.execute("PRAGMA user_version = 1").ok());
  const auto store = SqliteStore::open(path);
  ASSERT_FALSE(store.ok());
  EXPECT_NE(store.error().message.find("older llmctl (schema 1"), std::string::npos);
  EXPECT_NE(store.error().hint.find("--data-dir"), std::string::npos);
}

TEST_F(Store, NoticesEveryFlippedBitOfAnEvent) {
  const auto store = open();
  State state;
  submit(*store, state);
  submit(*store, state);
  ASSERT_TRUE(store->commit().ok());
  Database database = Database::open(path, false).value();
  Statement read = database.prepare("SELECT payload FROM events WHERE seq = 2").value();
  ASSERT_TRUE(read.step().value());
  std::string payload = read.text(0);
  read.reset();
  const auto archive = SqliteArchive::open(path).value();
  Statement write = database.prepare("UPDATE events SET payload = ? WHERE seq = 2").value();
  for (size_t bit = 0; bit < payload.size() * 8; bit += 7) {
    const auto flip = [&] {
      payload[bit / 8] = static_cast<char>(payload[bit / 8] ^ 1 << bit % 8);
    };
    flip();
    ASSERT_TRUE(write.bind_blob(1, payload).run().ok());
    const auto loaded = store->load();
    ASSERT_FALSE(loaded.ok()) << "bit " << bit;
    EXPECT_EQ(loaded.error().code, Code::data_loss);
    EXPECT_NE(loaded.error().message.find("event 2 is damaged"), std::string::npos);
    EXPECT_NE(loaded.error().hint.find("backup"), std::string::npos);
    EXPECT_FALSE(archive->job(JobId{2}).ok());
    EXPECT_FALSE(archive->events(Seq{1}, JobId{}, 10).ok());
    flip();
  }
  ASSERT_TRUE(write.bind_blob(1, payload).run().ok());
  EXPECT_EQ(facts(*store), state);
}

TEST_F(Store, NoticesAnEventInThePlaceOfAnother) {
  const auto store = open();
  State state;
  submit(*store, state);
  submit(*store, state);
  ASSERT_TRUE(store->commit().ok());
  Database database = Database::open(path, false).value();
  ASSERT_TRUE(database
                  .execute("UPDATE events SET (payload, checksum) = "
                           "(SELECT payload, checksum FROM events WHERE seq = 2) WHERE seq = 1")
                  .ok());
  EXPECT_NE(store->load().error().message.find("event 1 is damaged"), std::string::npos);
}

TEST_F(Store, RefusesAnotherProgramsDatabase) {
  Database database = Database::open(path, false).value();
  ASSERT_TRUE(database.execute("CREATE TABLE theirs(x)").ok());
  const auto store = SqliteStore::open(path);
  ASSERT_FALSE(store.ok());
  EXPECT_NE(store.error().message.find("is not a store of llmctl"), std::string::npos);
}

TEST_F(Archive, KeepsTheExtremesWhenItThinsASeries) {
  const auto store = open();
  std::vector<MetricPoint> points;
  for (int64_t step = 1; step <= 1'000; ++step) {
    points.push_back(MetricPoint{JobId{1}, "loss", step, step, step == 500 ? 99.0 : 1.0});
  }
  ASSERT_TRUE(store->put_points(points).ok());
  ASSERT_TRUE(store->commit().ok());
  const auto archive = SqliteArchive::open(path);
  const auto series = (*archive)->series({JobId{1}, {}, 20});
  ASSERT_TRUE(series.ok());
  ASSERT_EQ(series->size(), 1U);
  EXPECT_LE(series->front().points_size(), 20);
  double highest = 0;
  for (const v1::Point& point : series->front().points())
    highest = std::max(highest, point.value());
  EXPECT_EQ(highest, 99.0);
}

// A thousand failures with long evidence are more than one message may hold.
TEST_F(Archive, EndsAPageBeforeItOutgrowsAMessage) {
  const auto store = open();
  constexpr int64_t kJobs = 400;
  for (int64_t id = 1; id <= kJobs; ++id) {
    JobRecord record;
    record.job.set_id(id);
    record.job.set_detail(std::string(limits::kDetailBytes, 'x'));
    ASSERT_TRUE(store->put_job(record).ok());
  }
  ASSERT_TRUE(store->commit().ok());
  const auto archive = SqliteArchive::open(path).value();
  JobQuery query;
  query.page_size = limits::kPageSize;
  int64_t seen = 0, pages = 0;
  for (bool more = true; more; ++pages) {
    const JobPage page = archive->jobs(query).value();
    size_t bytes = 0;
    for (const v1::Job& job : page.jobs) bytes += job.ByteSizeLong();
    EXPECT_LT(static_cast<Bytes>(bytes), limits::kMessageBytes);
    seen += static_cast<int64_t>(page.jobs.size());
    more = page.more;
    if (more) query.after_id = page.jobs.back().id();
  }
  EXPECT_EQ(seen, kJobs);
  EXPECT_GT(pages, 1);
}

TEST_F(Archive, CannotWrite) {
  open();
  Database reader = Database::open(path, true).value();
  EXPECT_FALSE(reader.execute("DELETE FROM jobs").ok());
}

}  // namespace
}  // namespace llmctl

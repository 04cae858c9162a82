// Compaction of the event log: in random histories State stays what it was, the log of workers
// stays as short as there are workers, and who asks for what is gone is told.
#include <random>

#include "scheduler/store/job_row.h"
#include "scheduler/store/sqlite_archive.h"
#include "scheduler/store/sqlite_store.h"
#include "tests/processes/test_folder.h"
#include "tests/scheduler/heart/scene.h"

namespace llmctl {
namespace {

// A scene whose durable events go into a real store, as the loop puts them there.
class StoredScene {
 public:
  explicit StoredScene(const std::string& path) : store(SqliteStore::open(path).value()) {}

  void save() {
    std::set<JobId> touched;
    State folding = saved_;
    for (; next_ < scene.events.size(); ++next_) {
      const Event& event = scene.events[next_];
      if (event.job) touched.insert(event.job);
      if (is_durable(event)) {
        ASSERT_TRUE(store->append(event).ok());
      }
      const auto live = folding.jobs.find(event.job);
      if (live != folding.jobs.end()) newest_[event.job] = live->second;
      apply(folding, event);
    }
    for (const JobId id : touched) {
      const bool finished = !scene.live(id);
      const Job& job = finished ? newest_.at(id) : scene.job(id);
      ASSERT_TRUE(store->put_job(job_record(scene.state, job, finished)).ok());
    }
    saved_ = scene.state;
    ASSERT_TRUE(store->commit().ok());
  }

  Scene scene;
  std::unique_ptr<SqliteStore> store;

 private:
  size_t next_ = 0;
  State saved_;
  std::map<JobId, Job> newest_;
};

// Workers that come, change, drain, fall silent and come back, and jobs that run on them.
void live_a_while(Scene& scene, std::mt19937& random) {
  const auto below = [&](unsigned n) { return random() % n; };
  const std::string name = "w" + std::to_string(below(4));
  const auto known = scene.state.worker_names.find(name);
  switch (below(8)) {
    case 0:
      scene.hello(name, cpu_box(8 * kGiB, static_cast<int32_t>(1 + below(4))), {},
                  std::to_string(random()));
      break;
    case 1:
      if (known != scene.state.worker_names.end()) scene.give(DrainInput{name, below(2) == 0});
      break;
    case 2:
      scene.wait(60'000);  // whoever is silent is lost
      break;
    case 3:
      if (scene.state.jobs.size() < 5) scene.submit();
      break;
    case 4:
      if (!scene.state.jobs.empty()) scene.give(CancelInput{scene.state.jobs.begin()->first});
      break;
    case 5:
      scene.give(ForgetInput{name});
      break;
    default:
      scene.keep_alive(1'000);
  }
  scene.tick();
}

class Compaction : public ::testing::Test {
 protected:
  const testing::TestFolder test_folder{"compaction"};
  const std::string folder = test_folder.path();
};

int64_t worker_events(const std::string& path) {
  Database database = Database::open(path, true).value();
  return database.integer("SELECT count(*) FROM events WHERE job_id = 0").value();
}

}  // namespace

TEST_F(Compaction, ChangesNoStateInAnyHistory) {
  int64_t removed = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    const std::string path = folder + "/" + std::to_string(seed) + ".db";
    std::mt19937 random(seed);
    StoredScene stored(path);
    for (int step = 0; step < 60; ++step) live_a_while(stored.scene, random);
    stored.save();
    const State before = stored.store->load().value();
    const int64_t events_before = worker_events(path);
    ASSERT_TRUE(stored.store->compact(0).ok());
    ASSERT_EQ(stored.store->load().value(), before) << "seed " << seed;
    removed += events_before - worker_events(path);
    // Of a worker at most: registered, drained, lost; of all forgotten ones, two.
    EXPECT_LE(worker_events(path), 3 * static_cast<int64_t>(before.workers.size()) + 2);
    ASSERT_TRUE(stored.store->compact(0).ok());
    EXPECT_EQ(stored.store->load().value(), before) << "a second time, seed " << seed;
  }
  EXPECT_GT(removed, 400);
}

TEST_F(Compaction, LeavesTheNewestEventsAlone) {
  StoredScene stored(folder + "/store.db");
  for (int i = 0; i < 20; ++i) stored.scene.hello("w1", cpu_box(kGiB), {}, std::to_string(i));
  stored.save();
  ASSERT_TRUE(stored.store->compact(5).ok());
  EXPECT_EQ(worker_events(folder + "/store.db"), 5);
  const auto archive = SqliteArchive::open(folder + "/store.db").value();
  const auto events = archive->events(Seq{16}, JobId{}, 100);
  ASSERT_TRUE(events.ok()) << events.error().message;
  EXPECT_EQ(events->size(), 5U);
}

TEST_F(Compaction, WhoAsksForCompactedEventsIsToldFromWhereOnNoneIsMissing) {
  StoredScene stored(folder + "/store.db");
  for (int i = 0; i < 20; ++i) stored.scene.hello("w1", cpu_box(kGiB), {}, std::to_string(i));
  const JobId id = stored.scene.submit();
  stored.save();
  ASSERT_TRUE(stored.store->compact(0).ok());
  const auto archive = SqliteArchive::open(folder + "/store.db").value();
  const auto refused = archive->events(Seq{19}, JobId{}, 100);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::out_of_range);
  EXPECT_NE(refused.error().message.find("compacted up to event 19"), std::string::npos);
  EXPECT_NE(refused.error().hint.find("watch from 20"), std::string::npos);
  EXPECT_TRUE(archive->events(Seq{20}, JobId{}, 100).ok());
  EXPECT_TRUE(archive->events(Seq{1}, id, 100).ok()) << "events of a job are never compacted";
}

}  // namespace llmctl

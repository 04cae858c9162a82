// The Archive in the same SQLite file, over a read-only connection of its own. Every answer is one
// short read transaction, so the writer's checkpoints are never held up. Owned by one thread.
#pragma once

#include "scheduler/store/sqlite.h"
#include "scheduler/store/store.h"

namespace llmctl {

class SqliteArchive final : public Archive {
 public:
  static Result<std::unique_ptr<SqliteArchive>> open(const std::string& path);

  Result<v1::Job> job(JobId id) override;
  Result<v1::JobSubmitted> submission(JobId id) override;
  Result<JobPage> jobs(const JobQuery& query) override;
  Result<std::vector<v1::Event>> events(Seq from, JobId job, int limit) override;
  Result<RankPlace> place_of_rank(JobId job, Epoch epoch, int32_t rank) override;
  Result<std::vector<v1::Series>> series(const SeriesQuery& query) override;

 private:
  explicit SqliteArchive(Database database) : database_(std::move(database)) {}
  Result<v1::Series> one_series(JobId job, const std::string& name, int max_points);

  Database database_;
};

}  // namespace llmctl

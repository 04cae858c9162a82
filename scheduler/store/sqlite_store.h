// The Store in one SQLite file (schema: sqlite_schema.cc). Owned by the loop thread.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "scheduler/store/sqlite.h"
#include "scheduler/store/store.h"

namespace llmctl {

class SqliteStore final : public Store {
 public:
  // Creates the file when missing. data_loss: damaged, of a newer version, or not ours.
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& path);

  // Forgets superseded events of workers (sqlite_compact.h), but none of the newest `kept_seqs`.
  // Before load(). resource_exhausted: no room to do it; nothing has changed.
  Status compact(int64_t kept_seqs);

  Result<State> load() override;
  Status append(const Event& event) override;
  Status put_job(const JobRecord& record) override;
  Status put_profile(const std::string& key, const Profile& profile) override;
  Status put_points(const std::vector<MetricPoint>& points) override;
  Status commit() override;
  void rollback() override;
  Result<std::optional<KeyOwner>> find_key(const std::string& idempotency_key) override;

 private:
  struct Statements {
    Statement begin, commit, append, put_job, put_profile, put_point, find_key;
  };
  SqliteStore(Database database, Statements statements)
      : database_(std::move(database)), statements_(std::move(statements)) {}

  Status begin();
  Status fold_events(State& state);
  Status read_profiles(State& state);
  Status thin_out(const MetricPoint& point);

  Database database_;
  Statements statements_;                                   // destroyed before the connection
  bool open_ = false;                                       // a transaction
  std::map<std::pair<int64_t, std::string>, int> written_;  // live series: points since a count
};

}  // namespace llmctl

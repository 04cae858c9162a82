#include "scheduler/store/sqlite_store.h"

#include <nlohmann/json.hpp>

#include "core/base/limits.h"
#include "proto/convert.h"
#include "proto/convert_event.h"
#include "scheduler/store/sqlite_compact.h"
#include "scheduler/store/sqlite_event.h"
#include "scheduler/store/sqlite_schema.h"

namespace llmctl {
namespace {

constexpr const char* kPutJob = R"sql(
INSERT INTO jobs(id, name, state, reason, priority, submitted_ms, started_ms, moved_ms, finished,
                 idempotency_key, labels, summary)
VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT(id) DO UPDATE SET
  state = excluded.state, reason = excluded.reason, priority = excluded.priority,
  started_ms = excluded.started_ms, moved_ms = excluded.moved_ms, finished = excluded.finished,
  summary = excluded.summary)sql";

constexpr const char* kFindKey = R"sql(
SELECT e.seq, e.payload, e.checksum FROM jobs j JOIN events e ON e.job_id = j.id
WHERE j.idempotency_key = ? ORDER BY e.seq LIMIT 1)sql";

// Finished jobs are found through the partial index, never scanned.
constexpr const char* kLiveEvents = R"sql(
SELECT seq, payload, checksum FROM events WHERE job_id = 0
UNION ALL
SELECT e.seq, e.payload, e.checksum FROM jobs j CROSS JOIN events e ON e.job_id = j.id
WHERE j.finished = 0
ORDER BY 1)sql";

// Deletes every second point of a series that has too many, so that a long run's curve keeps its
// shape from beginning to end.
constexpr const char* kThinOut = R"sql(
DELETE FROM points WHERE job_id = ?1 AND name = ?2 AND step IN
  (SELECT step FROM (SELECT step, row_number() OVER (ORDER BY step) AS n FROM points
                     WHERE job_id = ?1 AND name = ?2) WHERE n % 2 = 0))sql";

constexpr int kCountEvery = limits::kMetricPoints / 10;  // points between two counts of a series

v1::ProbeMeasured to_payload(const Profile& profile) {
  v1::ProbeMeasured out;
  out.set_cap_bytes(profile.cap_bytes);
  for (const ProbeResult& result : profile.results) *out.add_results() = to_wire(result);
  return out;
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path) {
  Database database = TRY(open_store_writer(path));
  Statements statements{
      TRY(database.prepare("BEGIN IMMEDIATE")),
      TRY(database.prepare("COMMIT")),
      TRY(database.prepare("INSERT INTO events VALUES(?, ?, ?, ?, ?, ?)")),
      TRY(database.prepare(kPutJob)),
      TRY(database.prepare("INSERT OR REPLACE INTO profiles VALUES(?, ?)")),
      TRY(database.prepare("INSERT OR REPLACE INTO points VALUES(?, ?, ?, ?, ?)")),
      TRY(database.prepare(kFindKey)),
  };
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(database), std::move(statements)));
}

Status SqliteStore::compact(int64_t kept_seqs) {
  CHECK(!open_);
  const int64_t last = TRY(database_.integer("SELECT coalesce(max(seq), 0) FROM events"));
  return compact_worker_events(database_, last - kept_seqs);
}

Result<State> SqliteStore::load() {
  CHECK(!open_);
  State state;
  TRY(fold_events(state));
  TRY(read_profiles(state));
  Statement cluster = TRY(database_.prepare("SELECT id FROM cluster"));
  if (TRY(cluster.step())) state.cluster_id = cluster.text(0);
  state.last_seq.value = TRY(database_.integer("SELECT coalesce(max(seq), 0) FROM events"));
  state.last_job.value = TRY(database_.integer("SELECT coalesce(max(id), 0) FROM jobs"));
  return state;
}

Status SqliteStore::fold_events(State& state) {
  Statement live = TRY(database_.prepare(kLiveEvents));
  while (TRY(live.step())) {
    auto event = from_wire(TRY(read_event(live)));
    if (!event.ok()) {
      return unreadable_event(live.integer(0), "cannot be read: " + event.error().message);
    }
    apply(state, *event);
  }
  return ok_status();
}

// A row's number tells when it was written: the newest stay.
Status SqliteStore::read_profiles(State& state) {
  const std::string older =
      "DELETE FROM profiles WHERE rowid NOT IN (SELECT rowid FROM profiles "
      "ORDER BY rowid DESC LIMIT " +
      std::to_string(kProfiles) + ")";
  TRY(database_.execute(older.c_str()));
  Statement profiles = TRY(database_.prepare("SELECT key, payload FROM profiles"));
  v1::ProbeMeasured message;
  while (TRY(profiles.step())) {
    if (!message.ParseFromString(profiles.text(1))) {
      return Error{Code::data_loss, "store: profile " + profiles.text(0) + ": unreadable", ""};
    }
    Profile profile;
    profile.cap_bytes = message.cap_bytes();
    for (const v1::ProbeResult& result : message.results()) {
      profile.results.push_back(TRY(from_wire(result)));
    }
    state.profiles[profiles.text(0)] = std::move(profile);
  }
  return ok_status();
}

Status SqliteStore::begin() {
  if (open_) return ok_status();
  TRY(statements_.begin.run());
  open_ = true;
  return ok_status();
}

Status SqliteStore::append(const Event& event) {
  CHECK(is_durable(event) && event.seq);
  TRY(begin());
  const std::string payload = to_wire(event).SerializeAsString();
  return statements_.append.bind(1, event.seq.value)
      .bind(2, event.job.value)
      .bind(3, event.unix_ms)
      .bind(4, std::string_view(event_name(event)))
      .bind_blob(5, payload)
      .bind(6, event_checksum(event.seq.value, payload))
      .run();
}

Status SqliteStore::put_job(const JobRecord& record) {
  TRY(begin());
  const v1::Job& job = record.job;
  Statement& put = statements_.put_job;
  put.bind(1, job.id())
      .bind(2, std::string_view(job.name()))
      .bind(3, std::string_view(job.state()))
      .bind(4, std::string_view(job.reason()))
      .bind(5, job.priority())
      .bind(6, job.submitted_unix_ms())
      .bind(7, job.started_unix_ms())
      .bind(8, job.moved_unix_ms())
      .bind(9, int64_t{record.finished})
      .bind(11, std::string_view(nlohmann::json(record.labels).dump()))
      .bind_blob(12, job.SerializeAsString());
  if (record.finished) {
    written_.erase(written_.lower_bound({job.id(), ""}), written_.lower_bound({job.id() + 1, ""}));
  }
  if (record.idempotency_key.empty()) {
    put.bind_null(10);
  } else {
    put.bind(10, std::string_view(record.idempotency_key));
  }
  return put.run();
}

Status SqliteStore::put_profile(const std::string& key, const Profile& profile) {
  TRY(begin());
  return statements_.put_profile.bind(1, std::string_view(key))
      .bind_blob(2, to_payload(profile).SerializeAsString())
      .run();
}

Status SqliteStore::put_points(const std::vector<MetricPoint>& points) {
  if (points.empty()) return ok_status();
  TRY(begin());
  for (const MetricPoint& point : points) {
    TRY(statements_.put_point.bind(1, point.job.value)
            .bind(2, std::string_view(point.name))
            .bind(3, point.step)
            .bind(4, point.unix_ms)
            .bind(5, point.value)
            .run());
    // Counting is a scan, so it is done for the first point after a start and then now and then.
    int& written = written_[{point.job.value, point.name}];
    if (written++ % kCountEvery == 0) TRY(thin_out(point));
  }
  return ok_status();
}

Status SqliteStore::thin_out(const MetricPoint& point) {
  Statement count =
      TRY(database_.prepare("SELECT count(*) FROM points WHERE job_id = ? AND name = ?"));
  TRY(count.bind(1, point.job.value).bind(2, std::string_view(point.name)).step());
  if (count.integer(0) < limits::kMetricPoints - kCountEvery) return ok_status();
  count.reset();
  Statement thin = TRY(database_.prepare(kThinOut));
  return thin.bind(1, point.job.value).bind(2, std::string_view(point.name)).run();
}

Status SqliteStore::commit() {
  if (!open_) return ok_status();
  TRY(statements_.commit.run());
  open_ = false;
  return ok_status();
}

void SqliteStore::rollback() {
  // SQLite may have rolled back by itself (disk full); a second rollback is its only error here.
  if (open_ && sqlite3_get_autocommit(database_.handle()) == 0) (void)database_.execute("ROLLBACK");
  open_ = false;
}

Result<std::optional<KeyOwner>> SqliteStore::find_key(const std::string& idempotency_key) {
  Statement& find = statements_.find_key;
  if (!TRY(find.bind(1, std::string_view(idempotency_key)).step())) {
    return std::optional<KeyOwner>();
  }
  const Result<v1::Event> submitted = read_event(find);
  find.reset();
  if (!submitted.ok()) return submitted.error();
  return std::optional(
      KeyOwner{JobId{submitted->job_id()}, submitted->job_submitted().spec_json()});
}

}  // namespace llmctl

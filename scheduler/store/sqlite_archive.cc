#include "scheduler/store/sqlite_archive.h"

#include <algorithm>

#include "core/base/limits.h"
#include "scheduler/store/sqlite_compact.h"
#include "scheduler/store/sqlite_event.h"
#include "scheduler/store/sqlite_schema.h"

namespace llmctl {
namespace {

constexpr size_t kPageBytes = limits::kMessageBytes / 2;  // a row may be a sixteenth of it

Error unreadable(const std::string& what) {
  return Error{Code::data_loss, "store: " + what + " is unreadable", ""};
}

Error no_such_job(JobId id) {
  return Error{Code::not_found, "no job " + id.str(),
               "llmctl ls shows the newest jobs, --limit more"};
}

// "AND state IN (?, ?)" …: only the number of parameters depends on the request.
std::string jobs_sql(const JobQuery& query) {
  std::string sql = "SELECT summary FROM jobs WHERE ";
  sql += query.oldest_first ? "id > ?" : "id < ?";
  if (!query.states.empty()) {
    sql += " AND state IN (?";
    for (size_t i = 1; i < query.states.size(); ++i) sql += ", ?";
    sql += ')';
  }
  if (!query.name_contains.empty()) sql += " AND instr(name, ?) > 0";
  for (size_t i = 0; i < query.labels.size(); ++i) {
    sql += " AND EXISTS (SELECT 1 FROM json_each(labels) WHERE key = ? AND value = ?)";
  }
  sql += query.oldest_first ? " ORDER BY id" : " ORDER BY id DESC";
  return sql + " LIMIT ?";
}

// Fewer points with the same envelope: each bucket keeps its lowest and its highest value.
void keep_extremes(v1::Series& series, int max_points) {
  const int buckets = std::max(max_points / 2, 1);
  const int size = series.points_size();
  if (max_points <= 0 || size <= max_points) return;
  v1::Series kept;
  kept.set_name(series.name());
  for (int bucket = 0; bucket < buckets; ++bucket) {
    const int begin = static_cast<int>(int64_t{size} * bucket / buckets);
    const int end = static_cast<int>(int64_t{size} * (bucket + 1) / buckets);
    int low = begin, high = begin;
    for (int i = begin; i < end; ++i) {
      if (series.points(i).value() < series.points(low).value()) low = i;
      if (series.points(i).value() > series.points(high).value()) high = i;
    }
    *kept.add_points() = series.points(std::min(low, high));
    if (low != high) *kept.add_points() = series.points(std::max(low, high));
  }
  series = std::move(kept);
}

}  // namespace

Result<std::unique_ptr<SqliteArchive>> SqliteArchive::open(const std::string& path) {
  Database database = TRY(open_store_reader(path));
  return std::unique_ptr<SqliteArchive>(new SqliteArchive(std::move(database)));
}

Result<v1::Job> SqliteArchive::job(JobId id) {
  Statement find = TRY(database_.prepare(
      "SELECT summary, (SELECT max(seq) FROM events WHERE job_id = id) FROM jobs WHERE id = ?"));
  if (!TRY(find.bind(1, id.value).step())) return no_such_job(id);
  v1::Job job;
  if (!job.ParseFromString(find.text(0))) return unreadable("job " + id.str());
  job.set_last_seq(find.integer(1));
  v1::JobSubmitted submitted = TRY(submission(id));
  job.set_spec_json(std::move(*submitted.mutable_spec_json()));
  return job;
}

Result<v1::JobSubmitted> SqliteArchive::submission(JobId id) {
  Statement find =
      TRY(database_.prepare("SELECT seq, payload, checksum FROM events WHERE job_id = ? ORDER BY "
                            "seq LIMIT 1"));
  if (!TRY(find.bind(1, id.value).step())) return no_such_job(id);
  v1::Event event = TRY(read_event(find));
  if (!event.has_job_submitted()) return unreadable("the submission of job " + id.str());
  return std::move(*event.mutable_job_submitted());
}

Result<JobPage> SqliteArchive::jobs(const JobQuery& query) {
  Statement find = TRY(database_.prepare(jobs_sql(query).c_str()));
  int at = 1;
  const bool newest_first = !query.oldest_first;
  find.bind(at++, newest_first && query.after_id == 0 ? INT64_MAX : query.after_id);
  for (const std::string& state : query.states) find.bind(at++, std::string_view(state));
  if (!query.name_contains.empty()) find.bind(at++, std::string_view(query.name_contains));
  for (const auto& [key, value] : query.labels) {
    find.bind(at++, std::string_view(key));
    find.bind(at++, std::string_view(value));
  }
  find.bind(at, int64_t{query.page_size});
  JobPage page;
  size_t bytes = 0;
  while (!page.more && TRY(find.step())) {
    v1::Job& job = page.jobs.emplace_back();
    if (!job.ParseFromString(find.text(0))) return unreadable("a job");
    job.clear_checkpoints();
    job.clear_sample();
    bytes += job.ByteSizeLong();
    page.more = bytes > kPageBytes || static_cast<int>(page.jobs.size()) == query.page_size;
  }
  return page;
}

Result<std::vector<v1::Event>> SqliteArchive::events(Seq from, JobId job, int limit) {
  const int64_t through = job ? 0 : TRY(compacted_through(database_));  // jobs' events are all kept
  if (from.value <= through) {
    return Error{Code::out_of_range,
                 "the log is compacted up to event " + std::to_string(through) + "; events from " +
                     from.str() + " on are no longer complete",
                 "watch from " + std::to_string(through + 1) + ", or one job"};
  }
  const std::string sql = std::string("SELECT seq, payload, checksum FROM events WHERE seq >= ? ") +
                          (job ? "AND job_id = ? " : "") + "ORDER BY seq LIMIT ?";
  Statement find = TRY(database_.prepare(sql.c_str()));
  find.bind(1, from.value);
  if (job) find.bind(2, job.value);
  find.bind(job ? 3 : 2, int64_t{limit});
  std::vector<v1::Event> events;
  while (TRY(find.step())) {
    events.push_back(TRY(read_event(find)));
  }
  return events;
}

Result<RankPlace> SqliteArchive::place_of_rank(JobId id, Epoch epoch, int32_t rank) {
  TRY(job(id));
  Statement find = TRY(database_.prepare(
      "SELECT seq, payload, checksum FROM events WHERE job_id = ? AND type = 'AttemptGranted' "
      "ORDER BY seq DESC"));
  find.bind(1, id.value);
  while (TRY(find.step())) {
    const v1::Event event = TRY(read_event(find));
    if (epoch && event.epoch() != epoch.value) continue;
    for (const v1::Grant& grant : event.attempt_granted().grants()) {
      if (grant.rank() != rank) continue;
      return RankPlace{Epoch{event.epoch()}, WorkerId{grant.worker_id()}};
    }
    return Error{Code::not_found, "job " + id.str() + " has no rank " + std::to_string(rank), ""};
  }
  if (epoch) return Error{Code::not_found, "job " + id.str() + " has no epoch " + epoch.str(), ""};
  return Error{Code::failed_precondition, "job " + id.str() + " has not started yet",
               "llmctl explain " + id.str()};
}

Result<std::vector<v1::Series>> SqliteArchive::series(const SeriesQuery& query) {
  std::vector<std::string> names = query.names;
  if (names.empty()) {
    Statement find =
        TRY(database_.prepare("SELECT DISTINCT name FROM points WHERE job_id = ? ORDER BY name"));
    find.bind(1, query.job.value);
    while (TRY(find.step())) names.push_back(find.text(0));
  }
  std::vector<v1::Series> all;
  for (const std::string& name : names) {
    v1::Series series = TRY(one_series(query.job, name, query.max_points));
    if (series.points_size() > 0) all.push_back(std::move(series));
  }
  return all;
}

Result<v1::Series> SqliteArchive::one_series(JobId job, const std::string& name, int max_points) {
  Statement find = TRY(database_.prepare(
      "SELECT step, unix_ms, value FROM points WHERE job_id = ? AND name = ? ORDER BY step"));
  find.bind(1, job.value).bind(2, std::string_view(name));
  v1::Series series;
  series.set_name(name);
  while (TRY(find.step())) {
    v1::Point& point = *series.add_points();
    point.set_step(find.integer(0));
    point.set_unix_ms(find.integer(1));
    point.set_value(find.real(2));
  }
  keep_extremes(series, max_points);
  return series;
}

}  // namespace llmctl

#include "scheduler/store/sqlite_schema.h"

#include <cstdint>

#include "core/base/log.h"
#include "core/base/random_hex.h"

namespace llmctl {
namespace {

constexpr int64_t kApplicationId = 0x6C6C6D63;  // "llmc" in SQLite's header

constexpr const char* kSchema = R"sql(
CREATE TABLE events(            -- the log: facts, never changed; sqlite_compact.h
  seq      INTEGER PRIMARY KEY,
  job_id   INTEGER NOT NULL,    -- 0: about a worker
  unix_ms  INTEGER NOT NULL,
  type     TEXT    NOT NULL,    -- event_name()
  payload  BLOB    NOT NULL,    -- v1.Event
  checksum INTEGER NOT NULL     -- event_checksum()
) STRICT;
CREATE INDEX events_of_job ON events(job_id, seq);

CREATE TABLE compacted(         -- one row
  through_seq INTEGER NOT NULL  -- events up to here may be missing; 0: none is
) STRICT;
INSERT INTO compacted VALUES(0);

CREATE TABLE jobs(              -- what the log says of each job, for lists and finished jobs
  id              INTEGER PRIMARY KEY,
  name            TEXT    NOT NULL,
  state           TEXT    NOT NULL,
  reason          TEXT    NOT NULL,
  priority        INTEGER NOT NULL,
  submitted_ms    INTEGER NOT NULL,
  started_ms      INTEGER NOT NULL,
  moved_ms        INTEGER NOT NULL,
  finished        INTEGER NOT NULL,  -- 1: has left State, is not replayed
  idempotency_key TEXT UNIQUE,       -- NULL: none
  labels          TEXT    NOT NULL,  -- JSON object
  summary         BLOB    NOT NULL   -- v1.Job without spec_json (that is in JobSubmitted)
) STRICT;
CREATE INDEX jobs_live ON jobs(id) WHERE finished = 0;

CREATE TABLE profiles(          -- measured plans, kept when their jobs are gone
  key     TEXT PRIMARY KEY,
  payload BLOB NOT NULL         -- v1.ProbeMeasured
) STRICT;

CREATE TABLE points(            -- metric series
  job_id  INTEGER NOT NULL,
  name    TEXT    NOT NULL,
  step    INTEGER NOT NULL,
  unix_ms INTEGER NOT NULL,
  value   REAL    NOT NULL,
  PRIMARY KEY(job_id, name, step)
) STRICT, WITHOUT ROWID;
)sql";

Error refuse(const std::string& path, const std::string& why, const std::string& hint) {
  return Error{Code::data_loss, path + ": " + why, hint};
}

Status check_integrity(Database& database, const std::string& path) {
  Statement check = TRY(database.prepare("PRAGMA quick_check(1)"));
  if (TRY(check.step()) && check.text(0) == "ok") return ok_status();
  return refuse(path, "the store is damaged: " + check.text(0),
                "restore it from a backup; the damaged file was left as it is");
}

Status create(Database& database) {
  TRY(database.execute("BEGIN IMMEDIATE"));
  TRY(database.execute(kSchema));
  const std::string stamp = "PRAGMA application_id = " + std::to_string(kApplicationId) +
                            "; PRAGMA user_version = " + std::to_string(kSchemaVersion) +
                            "; COMMIT";
  return database.execute(stamp.c_str());
}

// A store from before clusters had ids gets one.
Status make_cluster_id(Database& database) {
  const int64_t there =
      TRY(database.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'cluster'"));
  if (there > 0) return ok_status();
  const std::string made =
      "CREATE TABLE cluster(id TEXT NOT NULL) STRICT; INSERT INTO cluster "
      "VALUES('" +
      random_hex(16) + "')";
  return database.execute(("BEGIN IMMEDIATE; " + made + "; COMMIT").c_str());
}

Status check_version(Database& database, const std::string& path) {
  const int64_t application = TRY(database.integer("PRAGMA application_id"));
  const int64_t version = TRY(database.integer("PRAGMA user_version"));
  if (application != kApplicationId) {
    return refuse(path, "is not a store of llmctl", "choose another --data-dir");
  }
  if (version > kSchemaVersion) {
    return refuse(path,
                  "was written by a newer llmctl (schema " + std::to_string(version) +
                      ", this program knows " + std::to_string(kSchemaVersion) + ')',
                  "start the newer llmctl-scheduler");
  }
  if (version < kSchemaVersion) {
    return refuse(
        path,
        "was written by an older llmctl (schema " + std::to_string(version) +
            ", this program needs " + std::to_string(kSchemaVersion) + ')',
        "let the older llmctl-scheduler finish its jobs, then begin with a new --data-dir");
  }
  return ok_status();
}

Status prepare_writer(Database& database, const std::string& path) {
  // The first read of the file: another program's file or a torn header fails here.
  const int64_t tables = TRY(database.integer("SELECT count(*) FROM sqlite_schema"));
  if (tables > 0) {
    TRY(check_version(database, path));
    TRY(check_integrity(database, path));
  }
  TRY(
      database.execute("PRAGMA journal_mode = WAL;"
                       "PRAGMA synchronous = FULL;"
                       "PRAGMA wal_autocheckpoint = 4000;"
                       "PRAGMA cell_size_check = ON;"
                       "PRAGMA temp_store = MEMORY"));
  if (tables == 0) {
    log_info("a new store: a cluster begins", {{"path", path}});
    TRY(create(database));
  }
  return make_cluster_id(database);
}

}  // namespace

Result<Database> open_store_writer(const std::string& path) {
  Database database = TRY(Database::open(path, false));
  Status ready = prepare_writer(database, path);
  if (ready.ok()) return database;
  Error error = std::move(ready).error();
  if (error.message.rfind("store: ", 0) == 0) {
    return refuse(path, error.message, "the file was left as it is");
  }
  return error;
}

Result<Database> open_store_reader(const std::string& path) {
  Database database = TRY(Database::open(path, true));
  sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  TRY(
      database.execute("PRAGMA query_only = ON;"
                       "PRAGMA wal_autocheckpoint = 0;"
                       "PRAGMA cell_size_check = ON;"
                       "PRAGMA temp_store = MEMORY"));
  return database;
}

}  // namespace llmctl

// The store's file: pragmas, tables, version. A file of another version, of another program, or one
// that fails SQLite's check is refused, never repaired or emptied.
//
// One connection both writes and checkpoints: SQLite before 3.51.3 can corrupt a WAL database when
// two connections do (sqlite.org/wal.html, "WAL-reset bug"), and Debian 12 has 3.40. Readers are
// query_only and never checkpoint, not even when they close.
#pragma once

#include "scheduler/store/sqlite.h"

namespace llmctl {

// Of the tables and of the documents in them: a job, a plan or an event that an older program
// cannot have written, or a newer one cannot read, makes a new version.
inline constexpr int kSchemaVersion = 3;

Result<Database> open_store_writer(const std::string& path);
Result<Database> open_store_reader(const std::string& path);  // Requires: a writer made the file

}  // namespace llmctl

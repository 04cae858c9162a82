// SQLite behind two small owners: a connection and a prepared statement. Not thread-safe: each
// connection belongs to one thread. Error codes say what a caller can do: resource_exhausted = the
// disk is full, unavailable = this transaction failed, data_loss = the file or its durability
// cannot be trusted any more (corruption, a failed fsync): stop.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace llmctl {

Error sqlite_error(sqlite3* connection, std::string_view doing);

class Statement {
 public:
  // Numbered from 1, in the order of the SQL's parameters. Text and blobs are copied.
  Statement& bind(int index, int64_t value);
  Statement& bind(int index, double value);
  Statement& bind(int index, std::string_view text);
  Statement& bind_blob(int index, std::string_view bytes);
  Statement& bind_null(int index);

  Result<bool> step();  // true: a row; after false or an error the statement is ready to run again
  Status run();         // for statements without rows
  void reset();

  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;  // also blobs

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  static Result<Database> open(const std::string& path, bool read_only);

  Status execute(const char* sql);  // one or several statements, rows ignored
  Result<Statement> prepare(const char* sql);
  Result<int64_t> integer(const char* sql);  // the first column of the first row
  sqlite3* handle() const { return connection_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  explicit Database(sqlite3* connection) : connection_(connection) {}
  std::unique_ptr<sqlite3, Close> connection_;
};

}  // namespace llmctl

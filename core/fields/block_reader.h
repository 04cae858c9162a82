// BlockReader: reads one mapping of a job file by a field table, and collects every problem with
// its place instead of stopping at the first. Problems and Places are shared by all blocks of a
// job; cross-field checks use Places to point at what the person wrote. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/fields/field_table.h"

namespace llmctl {

inline Place place_of(const Node& node, std::string written) {
  return {node.line, node.column, std::move(written), node.borrowed};
}

class Problems {
 public:
  void error(const Place& place, std::string message);
  void warning(const Place& place, std::string message);
  bool blames(std::string_view written) const;  // an error was reported for this name
  // Errors; or, when there are none, warnings.
  std::vector<Diagnostic> in_file_order() &&;

 private:
  std::vector<Diagnostic> all_;
};

class BlockReader {
 public:
  // Requires: everything outlives the reader. `prefix` is "" or "resources."; an error is reported
  // when `node` is no mapping. `where` names the mapping itself in that error.
  BlockReader(const Node& node, std::string prefix, Problems& problems, Places& places);

  // The value written for `field` under any of its names, or nullptr. Two names: an error.
  const Node* take(const Field& field);
  void read(const Field& field);           // take() and read_value()
  void read_all(const FieldTable& table);  // every field that is no block
  // Errors for all keys that nobody took; `known` are the names to suggest.
  void refuse_unknown(const FieldTable& known);

 private:
  void find_entries(const Field& field);
  void refuse_key(const Node& key, const FieldTable& known);

  const Node& node_;
  std::string prefix_;
  Problems& problems_;
  Places& places_;
  std::vector<std::pair<std::string_view, size_t>> by_name_;  // sorted; name -> entry
  std::vector<size_t> found_;                                 // the last field's, in file order
  std::vector<bool> taken_;                                   // by entry
};

}  // namespace llmctl

// What a parsed document is before the field table reads it: nodes with their places in the file,
// and what is said about a place. YAML and JSON both become this. Plain values.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace llmctl {

// A node of a parsed document with its place in the file; what YAML and JSON both become before the
// field table reads them. Scalars keep their text; `quoted` tells "010" from 010.
struct Node {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string text;
  bool quoted = false;
  struct Entry;
  std::vector<Node> items;     // list
  std::vector<Entry> entries;  // map, in file order
  int line = 0, column = 0;    // 1-based; 0: no position
  bool borrowed = false;       // nobody wrote it: it is from a file that the document names
};
struct Node::Entry {
  Node key;  // a scalar
  Node value;
};

struct Diagnostic {
  int line = 0, column = 0;
  std::string field;    // "resources.ranks"
  std::string message;  // `expected number > 0, got "fast"`
  bool warning = false;
  bool operator==(const Diagnostic&) const = default;
};
// "job.yaml:12:7: learning_rate: expected number > 0, got "fast"".
std::string to_string(const Diagnostic& diagnostic, std::string_view file);

struct Place {
  int line = 0, column = 0;
  std::string written;    // the name as the person wrote it, with its block: "resources.gpus"
  bool borrowed = false;  // as the node's
};
struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
};
// Canonical name -> the value's place.
using Places = std::unordered_map<std::string, Place, NameHash, std::equal_to<>>;

}  // namespace llmctl

#include "core/fields/block_reader.h"

#include <algorithm>

#include "core/base/suggest.h"

namespace llmctl {

void Problems::error(const Place& place, std::string message) {
  all_.push_back({place.line, place.column, place.written, std::move(message), false});
}

void Problems::warning(const Place& place, std::string message) {
  all_.push_back({place.line, place.column, place.written, std::move(message), true});
}

bool Problems::blames(std::string_view written) const {
  return std::any_of(all_.begin(), all_.end(),
                     [&](const Diagnostic& d) { return !d.warning && d.field == written; });
}

std::vector<Diagnostic> Problems::in_file_order() && {
  const auto is_warning = [](const Diagnostic& d) { return d.warning; };
  if (!std::all_of(all_.begin(), all_.end(), is_warning)) std::erase_if(all_, is_warning);
  std::stable_sort(all_.begin(), all_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  return std::move(all_);
}

// Any order serves to find a name; this one compares few texts.
static bool by_length(std::string_view a, std::string_view b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

BlockReader::BlockReader(const Node& node, std::string prefix, Problems& problems, Places& places)
    : node_(node),
      prefix_(std::move(prefix)),
      problems_(problems),
      places_(places),
      taken_(node.entries.size()) {
  by_name_.reserve(node.entries.size());
  for (size_t i = 0; i < node.entries.size(); ++i) {
    const Node& key = node.entries[i].key;
    if (key.kind == Node::Kind::scalar) by_name_.emplace_back(key.text, i);
  }
  std::sort(by_name_.begin(), by_name_.end(), [](const auto& a, const auto& b) {
    return a.first == b.first ? a.second < b.second : by_length(a.first, b.first);
  });
  if (node.kind == Node::Kind::map) return;
  std::string name = prefix_.substr(0, prefix_.empty() ? 0 : prefix_.size() - 1);
  problems.error(place_of(node, std::move(name)), "expected a mapping, got " + shown(node));
}

void BlockReader::find_entries(const Field& field) {
  found_.clear();
  std::string_view aliases = field.aliases;
  for (std::string_view name = field.name; !name.empty(); name = take_word(aliases)) {
    auto at = std::lower_bound(
        by_name_.begin(), by_name_.end(), name,
        [](const auto& entry, std::string_view wanted) { return by_length(entry.first, wanted); });
    for (; at != by_name_.end() && at->first == name; ++at) found_.push_back(at->second);
  }
  std::sort(found_.begin(), found_.end());
}

const Node* BlockReader::take(const Field& field) {
  const Node* found = nullptr;
  const Place* first = nullptr;
  find_entries(field);
  for (size_t i : found_) {
    const auto& [key, value] = node_.entries[i];
    taken_[i] = true;
    if (found != nullptr) {
      const std::string line = first->line > 0 ? " on line " + std::to_string(first->line) : "";
      problems_.error(place_of(key, prefix_ + key.text),
                      "already given as " + first->written + line);
      continue;
    }
    found = &value;
    // A value that is absent has its place on a later line.
    const bool absent = value.line == 0 || value.kind == Node::Kind::null;
    first = &(places_[prefix_ + field.name] = place_of(absent ? key : value, prefix_ + key.text));
  }
  return found;
}

void BlockReader::read(const Field& field) {
  const Node* value = take(field);
  if (value == nullptr) return;
  if (auto problem = read_value(field, *value)) {
    problems_.error(places_[prefix_ + field.name], std::move(*problem));
  }
}

void BlockReader::read_all(const FieldTable& table) {
  for (const Field& field : table) {
    if (field.rule.type != Rule::Type::block) read(field);
  }
}

void BlockReader::refuse_key(const Node& key, const FieldTable& known) {
  if (key.kind != Node::Kind::scalar) {
    return problems_.error(place_of(key, prefix_ + "?"), "expected a name, got " + shown(key));
  }
  std::vector<std::string_view> names;
  for (const Field& field : known) {
    names.push_back(field.name);
    for (std::string_view alias : words(field.aliases)) names.push_back(alias);
  }
  Node quoted = key;
  quoted.quoted = true;
  const std::string name = shown(quoted);
  problems_.error(place_of(key, prefix_ + name.substr(1, name.size() - 2)),
                  "unknown field" + did_you_mean(key.text, names));
}

void BlockReader::refuse_unknown(const FieldTable& known) {
  constexpr size_t kMost = 20;  // each suggestion costs a comparison with every known name
  size_t refused = 0;
  for (size_t i = 0; i < node_.entries.size(); ++i) {
    if (taken_[i]) continue;
    const Node& key = node_.entries[i].key;
    if (refused == kMost) {
      return problems_.error(place_of(key, prefix_ + "…"), "more unknown fields follow");
    }
    refuse_key(key, known);
    ++refused;
  }
}

}  // namespace llmctl

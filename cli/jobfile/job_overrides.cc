#include "cli/jobfile/job_overrides.h"

#include "cli/jobfile/job_yaml.h"
#include "core/job/job_fields.h"

namespace llmctl {

static Node name_node(std::string_view name) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.text = name;
  node.quoted = true;
  return node;
}

static FieldTable table_of(std::string_view block, JobDraft& draft) {
  if (block.empty()) return job_fields(draft);
  if (block == "model") return model_fields(draft.spec.model);
  if (block == "tokenizer") return tokenizer_fields(draft.spec.tokenizer);
  if (block == "resources") return resource_fields(draft.spec.resources);
  if (block == "retry") return retry_fields(draft.spec.retry);
  return {};
}

// The field's own name when `key` is an alias; the entries of `map` under any other name go.
static std::string settle_name(Node& map, std::string_view block, std::string_view key) {
  JobDraft draft;
  for (const Field& field : table_of(block, draft)) {
    if (!answers_to(field, key)) continue;
    std::erase_if(map.entries, [&](const Node::Entry& entry) {
      return entry.key.text != field.name && answers_to(field, entry.key.text);
    });
    return field.name;
  }
  return std::string(key);
}

static Node& entry_of(Node& map, const std::string& name) {
  for (auto& [key, value] : map.entries) {
    if (key.text == name) return value;
  }
  return map.entries.emplace_back(Node::Entry{name_node(name), Node{}}).value;
}

// A block that holds a single value becomes a mapping; `model: llama-1m` keeps its preset.
static void make_map(Node& node, std::string_view block) {
  if (node.kind == Node::Kind::map) return;
  Node value = std::move(node);
  node = Node{};
  node.kind = Node::Kind::map;
  node.line = value.line;
  node.column = value.column;
  if (block != "model" || value.kind != Node::Kind::scalar) return;
  bool preset = false;
  for (const Preset& known : presets()) preset = preset || value.text == known.name;
  node.entries.push_back({name_node(preset ? "preset" : "path"), std::move(value)});
}

// Its lines are not lines of the job file.
static void forget_places(Node& node) {
  node.line = node.column = 0;
  for (Node& item : node.items) forget_places(item);
  for (auto& [key, value] : node.entries) {
    forget_places(key);
    forget_places(value);
  }
}

static Error not_key_value(const std::string& text) {
  return {Code::invalid_argument, "--set " + text + ": expected key=value",
          "for example --set learning_rate=1e-4 or --set resources.ranks=2"};
}

static Status apply_override(Node& root, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) return not_key_value(text);
  YamlDocument value = parse_yaml(std::string_view(text).substr(equals + 1));
  if (!value.diagnostics.empty()) {
    return Error{Code::invalid_argument, "--set " + text + ": " + value.diagnostics[0].message, ""};
  }
  Node* node = &root;
  std::string block;
  std::string_view key = std::string_view(text).substr(0, equals);
  for (size_t levels = 0;; ++levels) {
    const size_t dot = key.find('.');
    const std::string_view part = key.substr(0, dot);
    if (part.empty() || levels > 3) return not_key_value(text);
    make_map(*node, block);
    const std::string name = settle_name(*node, levels < 2 ? block : "-", part);
    node = &entry_of(*node, name);
    if (dot == std::string_view::npos) break;
    block = levels == 0 ? name : "-";
    key.remove_prefix(dot + 1);
  }
  *node = std::move(value.root);
  forget_places(*node);
  return ok_status();
}

Status apply_overrides(Node& root, const std::vector<std::string>& overrides) {
  if (overrides.empty()) return ok_status();
  if (root.kind != Node::Kind::map && root.kind != Node::Kind::null) return ok_status();
  for (const std::string& text : overrides) TRY(apply_override(root, text));
  return ok_status();
}

}  // namespace llmctl

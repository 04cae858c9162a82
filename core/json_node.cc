#include "core/json_node.h"

#include <nlohmann/json.hpp>

#include "core/limits.h"

namespace llmctl {

using nlohmann::json;

// Takes the parser's events; each returns whether to go on. Names and order are nlohmann's.
class NodeBuilder : public nlohmann::json_sax<json> {
 public:
  bool null() override {
    add(Node{});
    return true;
  }
  bool boolean(bool value) override { return scalar(value ? "true" : "false", false); }
  bool number_integer(int64_t value) override { return scalar(std::to_string(value), false); }
  bool number_unsigned(uint64_t value) override { return scalar(std::to_string(value), false); }
  bool number_float(double /*value*/, const std::string& written) override {
    return scalar(written, false);
  }
  bool string(std::string& value) override { return scalar(std::move(value), true); }
  bool binary(json::binary_t& /*value*/) override { return false; }  // JSON text has none
  bool start_object(size_t /*size*/) override { return open(Node::Kind::map); }
  bool key(std::string& name) override {
    open_.back()->entries.push_back({scalar_node(std::move(name), /*quoted=*/true), {}});
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(size_t /*size*/) override { return open(Node::Kind::list); }
  bool end_array() override { return close(); }
  bool parse_error(size_t, const std::string&, const json::exception&) override { return false; }

  Node root;
  bool too_deep = false;

 private:
  static Node scalar_node(std::string text, bool quoted) {
    Node node;
    node.kind = Node::Kind::scalar;
    node.text = std::move(text);
    node.quoted = quoted;
    return node;
  }
  Node& add(Node node) {
    if (open_.empty()) return root = std::move(node);
    Node& parent = *open_.back();
    if (parent.kind == Node::Kind::list) return parent.items.emplace_back(std::move(node));
    return parent.entries.back().value = std::move(node);
  }
  bool scalar(std::string text, bool quoted) {
    add(scalar_node(std::move(text), quoted));
    return true;
  }
  bool open(Node::Kind kind) {
    too_deep = open_.size() == static_cast<size_t>(limits::kYamlDepth);
    if (too_deep) return false;
    open_.push_back(&add(Node{}));
    open_.back()->kind = kind;
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::vector<Node*> open_;  // a parent's vector does not grow while its last child is open
};

Result<Node> parse_json_node(std::string_view text, std::string_view what) {
  NodeBuilder builder;
  // The library would stop reading at a NUL.
  const bool cut = text.find('\0') != std::string_view::npos;
  if (!cut && json::sax_parse(text, &builder)) return std::move(builder.root);
  return invalid(std::string(what) +
                 (builder.too_deep ? " is nested too deeply" : " is not valid JSON"));
}

}  // namespace llmctl

#include "core/fields/json_node.h"

#include <simdjson.h>

#include "core/base/limits.h"
#include "core/base/units.h"

namespace llmctl {
namespace {

namespace dom = simdjson::dom;

Node bare(std::string text) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.text = std::move(text);
  return node;
}

Node quoted(std::string_view text) {
  Node node = bare(std::string(text));
  node.quoted = true;
  return node;
}

Node node_of(dom::element value);

Node map_of(dom::object object) {
  Node node;
  node.kind = Node::Kind::map;
  node.entries.reserve(object.size());
  for (const auto& [name, value] : object) {
    node.entries.push_back({quoted(name), node_of(value)});
  }
  return node;
}

Node list_of(dom::array array) {
  Node node;
  node.kind = Node::Kind::list;
  node.items.reserve(array.size());
  for (const dom::element item : array) node.items.push_back(node_of(item));
  return node;
}

Node node_of(dom::element value) {
  switch (value.type()) {
    case dom::element_type::OBJECT:
      return map_of(value.get_object());
    case dom::element_type::ARRAY:
      return list_of(value.get_array());
    case dom::element_type::STRING:
      return quoted(std::string_view(value));
    case dom::element_type::INT64:
      return bare(std::to_string(int64_t{value}));
    case dom::element_type::UINT64:
      return bare(std::to_string(uint64_t{value}));
    case dom::element_type::DOUBLE:
      return bare(format_exact(double{value}));
    case dom::element_type::BOOL:
      return bare(bool{value} ? "true" : "false");
    case dom::element_type::NULL_VALUE:
      break;
  }
  return {};
}

}  // namespace

Result<Node> parse_json_node(std::string_view text, std::string_view what) {
  dom::parser parser;
  dom::element root;
  auto error = text.empty() ? simdjson::EMPTY : parser.allocate(text.size(), limits::kNestingDepth);
  if (error == simdjson::SUCCESS) error = parser.parse(simdjson::padded_string(text)).get(root);
  if (error == simdjson::SUCCESS) return node_of(root);
  const bool deep = error == simdjson::DEPTH_ERROR;
  return invalid(std::string(what) + (deep ? " is nested too deeply" : " is not valid JSON"));
}

}  // namespace llmctl

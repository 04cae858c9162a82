#include "cli/jobfile/yaml_tree.h"

namespace llmctl {

static Node node_at(const YAML::Mark& mark, Node::Kind kind) {
  Node node;
  node.kind = kind;
  node.line = mark.line + 1;
  node.column = mark.column + 1;
  return node;
}

YamlTree::Size YamlTree::size_of(const Node& node) {
  Size size{1, static_cast<Bytes>(node.text.size())};
  const auto count = [&size](const Node& child) {
    const Size part = size_of(child);
    size.nodes += part.nodes;
    size.bytes += part.bytes;
  };
  for (const Node& item : node.items) count(item);
  for (const auto& [key, value] : node.entries) {
    count(key);
    count(value);
  }
  return size;
}

void YamlTree::refuse(const Node& at, std::string message) {
  constexpr size_t kMost = 50;  // a file with more has been generated, not written
  std::string field = path();
  if (!field.empty()) field.pop_back();
  document_.diagnostics.push_back(
      {at.line, at.column, std::move(field), std::move(message), false});
  stopped_ = stopped_ || document_.diagnostics.size() >= kMost;
}

void YamlTree::stop(const Node& at, std::string message) {
  refuse(at, std::move(message));
  stopped_ = true;
}

bool YamlTree::spend(const Node& at, const Size& size) {
  left_.nodes -= size.nodes;
  left_.bytes -= size.bytes;
  if (left_.nodes >= 0 && left_.bytes >= 0) return true;
  stop(at, "more than " + std::to_string(limits::kYamlNodes) +
               " values or 2 MiB of text after aliases are expanded");
  return false;
}

std::string YamlTree::path() const {
  std::string text;
  for (const Frame& frame : frames_) {
    if (frame.has_key) text += frame.key.text + ".";
  }
  return text;
}

// yaml-cpp says "?" for a plain scalar, "!" for a quoted one, and spells out any other tag.
void YamlTree::check_tag(const Node& at, const std::string& tag) {
  if (tag.empty() || tag == "?" || tag == "!") return;
  refuse(at, "tags are not supported: " + tag);
}

void YamlTree::OnDocumentStart(const YAML::Mark& mark) {
  if (++documents_ == 1) return;
  stop(node_at(mark, Node::Kind::null), "a job file is one document; this begins another");
}

void YamlTree::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  add(node_at(mark, Node::Kind::null), anchor);
}

void YamlTree::OnScalar(const YAML::Mark& mark,
                        const std::string& tag,
                        YAML::anchor_t anchor,
                        const std::string& value) {
  Node node = node_at(mark, Node::Kind::scalar);
  if (stopped_) return;
  node.text = value;
  node.quoted = tag != "?";
  check_tag(node, tag);
  add(std::move(node), anchor);
}

void YamlTree::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const auto it = anchors_.find(anchor);
  const Node here = node_at(mark, Node::Kind::null);
  if (stopped_) return;
  if (it == anchors_.end()) return stop(here, "this alias refers to what contains it");
  Size size = size_of(it->second);
  --size.nodes;  // add() counts the node itself
  if (!spend(here, size)) return;
  Node copy = it->second;
  copy.line = here.line;
  copy.column = here.column;
  add(std::move(copy), 0);
}

void YamlTree::OnSequenceStart(const YAML::Mark& mark,
                               const std::string& tag,
                               YAML::anchor_t anchor,
                               YAML::EmitterStyle::value) {
  Node node = node_at(mark, Node::Kind::list);
  check_tag(node, tag);
  open(std::move(node), anchor);
}

void YamlTree::OnMapStart(const YAML::Mark& mark,
                          const std::string& tag,
                          YAML::anchor_t anchor,
                          YAML::EmitterStyle::value) {
  Node node = node_at(mark, Node::Kind::map);
  check_tag(node, tag);
  open(std::move(node), anchor);
}

void YamlTree::open(Node node, YAML::anchor_t anchor) {
  if (stopped_) return;
  if (frames_.size() >= static_cast<size_t>(limits::kNestingDepth)) {
    return stop(node, "more than " + std::to_string(limits::kNestingDepth) + " levels deep");
  }
  Frame frame;
  frame.node = std::move(node);
  frame.anchor = anchor;
  frames_.push_back(std::move(frame));
}

void YamlTree::close() {
  if (stopped_) return;
  Frame frame = std::move(frames_.back());
  frames_.pop_back();
  add(std::move(frame.node), frame.anchor);
}

void YamlTree::add(Node node, YAML::anchor_t anchor) {
  if (stopped_) return;
  // An alias has paid for its children, a container's children paid when they were added.
  const Bytes own_bytes = static_cast<Bytes>(node.text.size());
  if (!spend(node, {1, own_bytes})) return;
  if (anchor != 0) anchors_[anchor] = node;
  if (frames_.empty()) {
    document_.root = std::move(node);
  } else if (frames_.back().node.kind == Node::Kind::list) {
    frames_.back().node.items.push_back(std::move(node));
  } else {
    add_to_map(frames_.back(), std::move(node));
  }
}

void YamlTree::add_to_map(Frame& frame, Node node) {
  if (frame.has_key) {
    frame.node.entries.push_back({std::move(frame.key), std::move(node)});
    frame.key = Node{};
    frame.has_key = false;
    return;
  }
  const Node at = node;
  const bool merge = node.text == "<<" && !node.quoted;
  const auto [first, is_new] = frame.seen.emplace(node.text, node.line);
  const bool scalar = node.kind == Node::Kind::scalar;
  frame.key = std::move(node);
  frame.has_key = true;
  if (merge) {
    refuse(at, "merge keys (<<) are not supported; write the fields out");
  } else if (!scalar) {
    frame.key.text = "?";
    refuse(at, "a key must be a plain name");
  } else if (!is_new) {
    refuse(at, "given twice; the first is on line " + std::to_string(first->second));
  }
}

}  // namespace llmctl

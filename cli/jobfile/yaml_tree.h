// YamlTree: builds a Node tree from yaml-cpp's events within the budgets, collecting what is wrong.
// After the budget is spent further events are ignored; the parser's input is bounded anyway.
#pragma once

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/mark.h>

#include <map>
#include <string>
#include <vector>

#include "cli/jobfile/job_yaml.h"
#include "core/base/limits.h"

namespace llmctl {

class YamlTree final : public YAML::EventHandler {
 public:
  YamlDocument take() { return std::move(document_); }

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark,
                const std::string& tag,
                YAML::anchor_t anchor,
                const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark,
                       const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark,
                  const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override { close(); }

 private:
  struct Frame {  // an open list or mapping
    Node node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;             // map: `key` waits for its value
    Node key;                         // map
    std::map<std::string, int> seen;  // map: key -> line
  };
  struct Size {
    int nodes = 0;
    Bytes bytes = 0;
  };

  static Size size_of(const Node& node);
  bool spend(const Node& at, const Size& size);
  void refuse(const Node& at, std::string message);
  void stop(const Node& at, std::string message);
  void check_tag(const Node& at, const std::string& tag);
  void open(Node node, YAML::anchor_t anchor);
  void close();
  void add(Node node, YAML::anchor_t anchor);
  void add_to_map(Frame& frame, Node node);
  std::string path() const;  // of the open containers: "resources."

  YamlDocument document_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Node> anchors_;  // finished nodes only
  Size left_ = {limits::kYamlNodes, 2 * limits::kJobFileBytes};
  int documents_ = 0;
  bool stopped_ = false;
};

}  // namespace llmctl

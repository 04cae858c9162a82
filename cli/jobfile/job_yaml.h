// The strict YAML layer: text from outside into a Node tree with positions; the only code that
// touches yaml-cpp. Refuses what YAML readers disagree on or what can explode: duplicate and merge
// keys, tags, several documents, text that is not UTF-8, control characters, and more than
// limits::kNestingDepth levels, kYamlNodes nodes or twice kJobFileBytes of text after aliases are
// expanded. JSON is read as the YAML it is. No exception leaves. Any thread.
#pragma once

#include <string_view>
#include <vector>

#include "core/job/job_spec.h"

namespace llmctl {

struct YamlDocument {
  Node root;                            // of use only when there are no diagnostics
  std::vector<Diagnostic> diagnostics;  // all are errors
};
YamlDocument parse_yaml(std::string_view text);

}  // namespace llmctl

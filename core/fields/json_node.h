// JSON text as the Node tree that job files are read from, so that both obey one field table. All
// that YAML's rules refuse (names given twice, deep nesting) is refused here, too.
#pragma once

#include <string_view>

#include "core/fields/node.h"

namespace llmctl {

// One JSON value and nothing after it. Invalid text or UTF-8, or more than limits::kNestingDepth
// levels: invalid_argument, naming `what`. Nodes have no positions.
Result<Node> parse_json_node(std::string_view text, std::string_view what);

}  // namespace llmctl

// One JSONL record of a fine-tuning dataset as a conversation, whatever its layout: `messages`,
// ShareGPT, alpaca, or prompt and completion. Hostile input; errors say what is wrong with the
// record.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/job/job_spec.h"
#include "trainer/template/value.h"

namespace llmctl {

struct ChatRecord {
  // A chat, each message a mapping with role and content ...
  jinja::Items messages;
  std::vector<bool> learned;  // of each message
  jinja::Value tools = jinja::Value::none();
  // ... or two texts, when there are no messages.
  std::string prompt, completion;
};

// One JSON document for a template. Hostile input: bounded in size and depth.
Result<jinja::Value> read_json_value(std::string_view line);

// The layout is dataset.type, or with `auto` what the record's fields tell.
Result<ChatRecord> read_chat_record(std::string_view line, const DatasetSpec& dataset);

}  // namespace llmctl

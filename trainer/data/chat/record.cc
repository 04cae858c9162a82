#include "trainer/data/chat/record.h"

#include <simdjson.h>

#include <algorithm>

#include "core/base/limits.h"

namespace llmctl {
namespace dom = simdjson::dom;
using jinja::Value;
namespace {

constexpr size_t kMessages = 10'000;

Result<Value> value_of(dom::element element) {
  switch (element.type()) {
    case dom::element_type::ARRAY: {
      jinja::Items items;
      for (const dom::element item : dom::array(element)) items.push_back(TRY(value_of(item)));
      return Value::list(std::move(items));
    }
    case dom::element_type::OBJECT: {
      jinja::Members members;
      for (const auto [key, value] : dom::object(element)) {
        members.emplace_back(std::string(key), TRY(value_of(value)));
      }
      return Value::map(std::move(members));
    }
    case dom::element_type::STRING:
      return Value(std::string(std::string_view(element)));
    case dom::element_type::INT64:
      return Value(int64_t(element));
    case dom::element_type::UINT64:
      return Value::large(uint64_t(element));
    case dom::element_type::DOUBLE:
      return Value(double(element));
    case dom::element_type::BOOL:
      return Value(bool(element));
    case dom::element_type::NULL_VALUE:
      break;
  }
  return Value::none();
}

}  // namespace

Result<Value> read_json_value(std::string_view line) {
  if (line.size() > static_cast<size_t>(limits::kJsonLineBytes)) return invalid("line is too long");
  const simdjson::padded_string padded(line);
  dom::parser parser;
  dom::element record;
  auto failed = parser.allocate(std::max<size_t>(line.size(), 1024), limits::kJsonLineDepth);
  if (failed == simdjson::SUCCESS) failed = parser.parse(padded).get(record);
  if (failed == simdjson::NUMBER_ERROR) {
    return invalid("a number is not valid JSON, or a whole one beyond 64 bits",
                   "write whole numbers beyond 64 bits as strings");
  }
  if (failed != simdjson::SUCCESS) {
    return invalid(std::string("not valid JSON: ") + simdjson::error_message(failed));
  }
  return value_of(record);
}

namespace {

std::string keys_of(const Value& record) {
  std::string keys;
  for (const auto& member : record.members()) {
    if (keys.size() > 100) break;
    keys += (keys.empty() ? "" : ", ") + member.first.substr(0, 40);
  }
  return keys.empty() ? "it is empty" : "it has " + keys;
}

// A text field; `needed` ones must be there, of the others null is as good as absent.
Result<std::string> text_field(const Value& record, const std::string& name, bool needed) {
  const Value* value = record.find(name);
  if (value != nullptr && value->is(Value::Kind::text)) return value->text();
  const bool absent = value == nullptr || value->is(Value::Kind::none);
  if (absent && !needed) return std::string();
  if (absent && value != nullptr) return invalid("\"" + name + "\" is null");
  if (absent)
    return invalid("no field \"" + name + "\"; " + keys_of(record), "name it: datasets[]");
  return invalid("\"" + name + "\" is not a string");
}

// Content in parts, as for pictures, becomes one text.
Result<std::string> joined_parts(const Value& parts) {
  std::string text;
  for (const Value& part : parts.items()) {
    const Value* own = part.is(Value::Kind::map) ? part.find("text") : nullptr;
    if (own == nullptr || !own->is(Value::Kind::text)) {
      return invalid("content has a part that is not text");
    }
    text += own->text();
  }
  return text;
}

Status add_message(const Value& given, ChatRecord& record) {
  if (!given.is(Value::Kind::map)) return invalid("a message is not a mapping");
  const std::string role = TRY(text_field(given, "role", true));
  const Value* weight = given.find("weight");  // OpenAI's: 0 is not learned
  jinja::Members members;
  for (const auto& [key, value] : given.members()) {
    const bool parts = key == "content" && value.is(Value::Kind::list);
    members.emplace_back(key, parts ? Value(TRY(joined_parts(value))) : value);
  }
  const Value* content = given.find("content");
  const bool empty = content == nullptr || content->is(Value::Kind::none);
  if (empty && given.find("tool_calls") == nullptr) return invalid("a message has no content");
  if (!empty && !content->is(Value::Kind::text) && !content->is(Value::Kind::list)) {
    return invalid("content of a message is not a string");
  }
  if (record.messages.size() >= kMessages) return invalid("more than 10,000 messages");
  record.messages.push_back(TRY(Value::map(std::move(members))));
  record.learned.push_back(role == "assistant" &&
                           (weight == nullptr || !weight->is_number() || weight->truth()));
  return ok_status();
}

Status add_text(const char* role, const std::string& content, ChatRecord& record) {
  const auto message = TRY(Value::map({{"role", role}, {"content", content}}));
  return add_message(message, record);
}

Status add_messages(const Value& record, const std::string& field, ChatRecord& out) {
  const Value* list = record.find(field);
  if (list == nullptr) return invalid("no field \"" + field + "\"; " + keys_of(record));
  if (!list->is(Value::Kind::list)) return invalid("\"" + field + "\" is not a list");
  for (const Value& one : list->items()) TRY(add_message(one, out));
  if (list->items().empty()) return invalid("\"" + field + "\" is empty");
  return ok_status();
}

Result<const char*> role_of(const std::string& from) {
  static constexpr std::pair<const char*, const char*> kRoles[] = {
      {"human", "user"},          {"user", "user"},       {"gpt", "assistant"},
      {"assistant", "assistant"}, {"model", "assistant"}, {"chatgpt", "assistant"},
      {"bot", "assistant"},       {"system", "system"},   {"tool", "tool"},
      {"function", "tool"},       {"observation", "tool"}};
  for (const auto& [name, role] : kRoles) {
    if (from == name) return role;
  }
  return invalid("\"from\" is \"" + from.substr(0, 40) + "\", not human, gpt, system or tool");
}

Status add_system(const Value& record, const DatasetSpec& dataset, ChatRecord& out) {
  const std::string system = TRY(text_field(record, dataset.field_system, false));
  return system.empty() ? ok_status() : add_text("system", system, out);
}

Status read_sharegpt(const Value& record, const DatasetSpec& dataset, ChatRecord& out) {
  TRY(add_system(record, dataset, out));
  const Value* list = record.find(dataset.field_conversations);
  if (list == nullptr || !list->is(Value::Kind::list)) {
    return invalid("\"" + dataset.field_conversations + "\" is not a list");
  }
  for (const Value& turn : list->items()) {
    if (!turn.is(Value::Kind::map)) return invalid("a turn is not a mapping");
    const std::string from = TRY(text_field(turn, "from", true));
    const char* role = TRY(role_of(from));
    const std::string value = TRY(text_field(turn, "value", true));
    TRY(add_text(role, value, out));
  }
  return ok_status();
}

Status read_alpaca(const Value& record, const DatasetSpec& dataset, ChatRecord& out) {
  TRY(add_system(record, dataset, out));
  if (const Value* history = record.find("history"); history != nullptr && history->truth()) {
    if (!history->is(Value::Kind::list)) return invalid("\"history\" is not a list");
    for (const Value& pair : history->items()) {
      const bool texts = pair.is(Value::Kind::list) && pair.items().size() == 2 &&
                         pair.items()[0].is(Value::Kind::text) &&
                         pair.items()[1].is(Value::Kind::text);
      if (!texts) return invalid("\"history\" is not a list of [question, answer]");
      TRY(add_text("user", pair.items()[0].text(), out));
      TRY(add_text("assistant", pair.items()[1].text(), out));
    }
  }
  const std::string asked = TRY(text_field(record, dataset.field_instruction, true));
  const std::string input = TRY(text_field(record, dataset.field_input, false));
  jinja::Members user = {{"role", "user"},
                         {"content", input.empty() ? asked : asked + "\n" + input}};
  if (!input.empty()) {  // for templates that lay the two out
    user.emplace_back("instruction", asked);
    user.emplace_back("input", input);
  }
  const Value question = TRY(Value::map(std::move(user)));
  TRY(add_message(question, out));
  const std::string answer = TRY(text_field(record, dataset.field_output, true));
  return add_text("assistant", answer, out);
}

Status read_completion(const Value& record, const DatasetSpec& dataset, ChatRecord& out) {
  const Value* prompt = record.find(dataset.field_prompt);
  if (prompt == nullptr || !prompt->is(Value::Kind::list)) {
    out.prompt = TRY(text_field(record, dataset.field_prompt, true));
    out.completion = TRY(text_field(record, dataset.field_completion, true));
    if (out.completion.empty()) return invalid("\"" + dataset.field_completion + "\" is empty");
    return ok_status();
  }
  TRY(add_messages(record, dataset.field_prompt, out));
  out.learned.assign(out.learned.size(), false);
  return add_messages(record, dataset.field_completion, out);
}

Result<std::string> type_of(const Value& record, const DatasetSpec& dataset) {
  if (dataset.type != "auto") return dataset.type;
  const auto has = [&](const std::string& field) { return record.find(field) != nullptr; };
  if (has(dataset.field_messages)) return std::string("messages");
  if (has(dataset.field_conversations)) return std::string("sharegpt");
  if (has(dataset.field_prompt) && has(dataset.field_completion)) {
    return std::string("prompt_completion");
  }
  if (has(dataset.field_instruction) && has(dataset.field_output)) return std::string("alpaca");
  return invalid(
      "neither messages, conversations, prompt and completion, nor instruction and output; " +
          keys_of(record),
      "name the fields, for example datasets: [{path: ..., field_prompt: ..., "
      "field_completion: ...}]");
}

}  // namespace

Result<ChatRecord> read_chat_record(std::string_view line, const DatasetSpec& dataset) {
  if (line.substr(0, line.find_first_not_of(" \t\r") + 1).ends_with('[')) {
    return invalid("a JSON array, not an object",
                   "JSONL has one record per line: jq -c '.[]' data.json > data.jsonl");
  }
  const Value record = TRY(read_json_value(line));
  if (!record.is(Value::Kind::map)) return invalid("not a JSON object", "one record per line");
  const std::string type = TRY(type_of(record, dataset));
  ChatRecord out;
  if (const Value* tools = record.find("tools")) out.tools = *tools;
  if (type == "messages") TRY(add_messages(record, dataset.field_messages, out));
  if (type == "sharegpt") TRY(read_sharegpt(record, dataset, out));
  if (type == "alpaca") TRY(read_alpaca(record, dataset, out));
  if (type == "prompt_completion") TRY(read_completion(record, dataset, out));
  return out;
}

}  // namespace llmctl

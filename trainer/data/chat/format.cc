#include "trainer/data/chat/format.h"

#include <algorithm>

#include "trainer/data/chat/record.h"
#include "trainer/data/chat/template.h"
#include "trainer/files/content_hash.h"
#include "trainer/template/text.h"

namespace llmctl {
namespace {

size_t common_prefix(std::string_view a, std::string_view b) {
  const auto end =
      std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(std::min(a.size(), b.size())),
                    b.begin())
          .first;
  return static_cast<size_t>(end - a.begin());
}

jinja::Items first_of(const jinja::Items& messages, size_t count) {
  return {messages.begin(), messages.begin() + static_cast<ptrdiff_t>(count)};
}

std::string content_of(const jinja::Value& message) {
  const jinja::Value* content = message.find("content");
  if (content == nullptr || !content->is(jinja::Value::Kind::text)) return "";
  return std::string(jinja::strip(content->text(), "", true, true));
}

// Ids of text[0, end) that are also the first ids of the whole text.
Result<size_t> ids_before(std::string_view text,
                          size_t end,
                          std::span<const int32_t> ids,
                          Encoder& encoder) {
  if (end == 0) return size_t{0};
  if (end == text.size()) return ids.size();
  std::vector<int32_t> before;
  TRY(encoder.append(text.substr(0, end), before));
  const size_t both = std::min(before.size(), ids.size());
  const auto differ =
      std::mismatch(before.begin(), before.begin() + static_cast<ptrdiff_t>(both), ids.begin());
  return static_cast<size_t>(differ.first - before.begin());
}

}  // namespace

struct ChatFormat::Parts {
  ChatTemplate chat_template;
  bool train_on_inputs;
  std::string fingerprint;

  Result<FormattedChat::Span> turn(const ChatRecord& record,
                                   size_t index,
                                   std::string_view whole) const;
  Result<FormattedChat> chat(const ChatRecord& record) const;
};

// Where the template writes message `index`: what the chat up to it adds to the prompt for it.
Result<FormattedChat::Span> ChatFormat::Parts::turn(const ChatRecord& record,
                                                    size_t index,
                                                    std::string_view whole) const {
  const auto render = [&](size_t count, bool prompt) {
    return chat_template.render(first_of(record.messages, count), record.tools, prompt);
  };
  FormattedChat::Span span{0, whole.size()};
  if (index > 0) {
    const std::string prompt = TRY(render(index, true));
    const std::string before = TRY(render(index, false));
    span.begin = common_prefix(prompt, whole);
    if (span.begin < std::min(prompt.size(), before.size())) {
      return Error{Code::invalid_argument,
                   "the chat template writes what is before message " + std::to_string(index + 1) +
                       " differently once the chat goes on",
                   "choose another chat_template"};
    }
  }
  if (index + 1 == record.messages.size()) return span;
  const std::string alone = TRY(render(index + 1, false));
  span.end = common_prefix(alone, whole);
  if (span.end == alone.size()) return span;
  // The template writes an answer that is not the last one in another way, without its reasoning
  // for example: then it ends with its content and what follows that when it is the last.
  const std::string content = content_of(record.messages[index]);
  const size_t own = alone.rfind(content), at = whole.find(content, span.begin);
  if (!content.empty() && own != alone.npos && at != whole.npos) {
    const size_t end = at + content.size();
    span.end = end + common_prefix(std::string_view(alone).substr(own + content.size()),
                                   whole.substr(end));
    return span;
  }
  return Error{Code::invalid_argument,
               "the chat template does not show message " + std::to_string(index + 1), ""};
}

Result<FormattedChat> ChatFormat::Parts::chat(const ChatRecord& record) const {
  FormattedChat out;
  out.text = TRY(chat_template.render(record.messages, record.tools, false));
  for (size_t i = 0; i < record.messages.size() && !train_on_inputs; ++i) {
    if (!record.learned[i]) continue;
    const auto span = TRY(turn(record, i, out.text));
    const bool joins = !out.learned.empty() && span.begin < out.learned.back().end;
    if (joins) {
      out.learned.back().end = span.end;
    } else {
      out.learned.push_back(span);
    }
  }
  return out;
}

Result<ChatFormat> ChatFormat::open(const JobSpec& spec) {
  auto chat_template = TRY(ChatTemplate::open(spec));
  const std::string key = chat_template.source() + '\0' + chat_template.bos() + '\0' +
                          chat_template.eos() + (spec.train_on_inputs ? " all" : " answers");
  return ChatFormat(std::make_shared<const Parts>(
      Parts{std::move(chat_template), spec.train_on_inputs, content_hash(key)}));
}

Result<FormattedChat> ChatFormat::format(std::string_view line, const DatasetSpec& dataset) const {
  const ChatRecord record = TRY(read_chat_record(line, dataset));
  FormattedChat out;
  if (record.messages.empty()) {
    out.text = record.prompt + record.completion;
    out.learned = {{record.prompt.size(), out.text.size()}};
    out.ends_text = true;
  } else {
    out = TRY(parts_->chat(record));
  }
  if (parts_->train_on_inputs) out.learned = {{0, out.text.size()}};
  if (!out.learned.empty()) return out;
  return Error{Code::invalid_argument, "nothing to learn: no turn of the assistant",
               "drop the record, or set train_on_inputs: true"};
}

Status ChatFormat::encode(std::string_view record,
                          const DatasetSpec& dataset,
                          const Tokenizer& tokenizer,
                          Encoder& encoder,
                          std::vector<int32_t>& ids,
                          std::vector<uint8_t>& learned) const {
  const FormattedChat chat = TRY(format(record, dataset));
  std::vector<int32_t> own;
  TRY(encoder.append(chat.text, own));
  const auto lacking = chat.ends_text ? tokenizer.missing_begin(own) : std::span<const int32_t>();
  std::vector<uint8_t> mask(own.size());
  for (const auto& span : chat.learned) {
    const size_t begin = TRY(ids_before(chat.text, span.begin, own, encoder));
    const size_t end = TRY(ids_before(chat.text, span.end, own, encoder));
    std::fill(mask.begin() + static_cast<ptrdiff_t>(begin),
              mask.begin() + static_cast<ptrdiff_t>(std::max(begin, end)), uint8_t{1});
  }
  if (chat.ends_text && tokenizer.eos()) {
    own.push_back(*tokenizer.eos());
    mask.push_back(1);
  }
  if (std::find(mask.begin(), mask.end(), 1) == mask.end()) {
    return Error{Code::invalid_argument, "nothing to learn: the answers hold no whole token", ""};
  }
  ids.insert(ids.end(), lacking.begin(), lacking.end());
  learned.insert(learned.end(), lacking.size(), uint8_t{0});
  ids.insert(ids.end(), own.begin(), own.end());
  learned.insert(learned.end(), mask.begin(), mask.end());
  return ok_status();
}

const std::string& ChatFormat::fingerprint() const {
  return parts_->fingerprint;
}

const std::string& ChatFormat::template_source() const {
  return parts_->chat_template.source();
}

std::optional<int32_t> ChatFormat::turn_end(const Tokenizer& tokenizer) const {
  constexpr std::string_view kAnswer = "answer";
  DatasetSpec dataset;
  dataset.type = "messages";
  const auto chat = format(
      R"({"messages":[{"role":"user","content":"ask"},{"role":"assistant","content":"answer"}]})",
      dataset);
  const size_t at = chat.ok() ? chat->text.rfind(kAnswer) : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  const auto ids = tokenizer.encode(std::string_view(chat->text).substr(at + kAnswer.size()));
  if (!ids.ok()) return std::nullopt;
  const auto end =
      std::find_if(ids->begin(), ids->end(), [&](int32_t id) { return tokenizer.is_special(id); });
  return end == ids->end() ? std::nullopt : std::optional(*end);
}

const std::vector<std::string>& ChatFormat::special_tokens() const {
  return parts_->chat_template.special_tokens();
}

}  // namespace llmctl

// What a fine-tuning job learns from one JSONL record: a chat (`messages`, ShareGPT, alpaca) laid
// out by the chat template, or a prompt with its completion; and which tokens of it count. Of a
// chat these are the assistant's turns with what ends them, found by rendering the chat up to each
// turn; of prompt and completion the completion with the end-of-text token. Immutable; any thread.
// Errors (invalid_argument) say what is wrong with the record; the caller knows file and line.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/job/job_spec.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

struct FormattedChat {
  struct Span {
    size_t begin, end;  // bytes of text
  };
  std::string text;
  std::vector<Span> learned;  // in order
  bool ends_text = false;     // the end-of-text token follows and is learned
};

class ChatFormat {
 public:
  // Reads the template of spec.chat_template and the special tokens beside spec.tokenizer.
  static Result<ChatFormat> open(const JobSpec& spec);

  // Tells the kind of a record by its fields where dataset.type is auto.
  Result<FormattedChat> format(std::string_view record, const DatasetSpec& dataset) const;
  // Appends the record's ids and, for each, whether it is learned.
  Status encode(std::string_view record,
                const DatasetSpec& dataset,
                const Tokenizer& tokenizer,
                Encoder& encoder,
                std::vector<int32_t>& ids,
                std::vector<uint8_t>& learned) const;

  const std::string& fingerprint() const;  // equal: equal texts and masks
  // The template's own tokens, for a tokenizer that is still to be learned.
  const std::vector<std::string>& special_tokens() const;

  const std::string& template_source() const;
  // The first special token behind an answer, which the model learns to end it with.
  std::optional<int32_t> turn_end(const Tokenizer& tokenizer) const;

  struct Parts;

 private:
  explicit ChatFormat(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  std::shared_ptr<const Parts> parts_;
};

}  // namespace llmctl

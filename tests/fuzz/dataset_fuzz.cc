// Bytes as a JSONL data set (field "text") and as one text. Properties: nothing faults, a document
// is never empty, an error names its line, and the byte tokenizer gives every document back.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "trainer/data/sources/dataset.h"
#include "trainer/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmctl;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  static const Tokenizer bytes = Tokenizer::bytes();
  static const std::string field = "text";
  const auto walked = for_each_line_document(input, "input", field, [](std::string_view text) {
    if (text.empty()) std::abort();
    const auto ids = bytes.encode(text);
    if (!ids.ok() || bytes.decode(*ids) != text) std::abort();
    return ok_status();
  });
  if (!walked.ok() && !walked.error().message.starts_with("input:")) std::abort();

  BpeTrainer trainer;
  if (!trainer.add(input).ok()) std::abort();
  const auto learned = trainer.train(300, {});
  if (!learned.ok()) std::abort();
  const auto ids = learned->encode(input);
  if (!ids.ok() || learned->decode(*ids) != input) std::abort();
  return 0;
}

// A chat template, a zero byte, and a JSONL record. Property: whatever they are, parsing, rendering
// and masking end without a fault, and what is learned lies in the text in order.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trainer/data/chat/format.h"
#include "trainer/data/chat/record.h"
#include "trainer/template/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmctl;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t cut = input.find('\0');
  const std::string_view record = cut == input.npos ? "" : input.substr(cut + 1);

  static const ChatFormat chatml = *ChatFormat::open(JobSpec{});
  static const DatasetSpec dataset;
  if (const auto chat = chatml.format(record, dataset); chat.ok()) {
    size_t at = 0;
    for (const auto& span : chat->learned) {
      if (span.begin < at || span.end < span.begin || span.end > chat->text.size()) std::abort();
      at = span.end;
    }
  }
  const auto parsed = jinja::Template::parse(input.substr(0, cut), "input");
  const auto read = read_chat_record(record, dataset);
  if (!parsed.ok()) return 0;
  const auto messages = jinja::Value::list(read.ok() ? read->messages : jinja::Items());
  if (!messages.ok()) return 0;
  (void)parsed->render({{"messages", *messages}, {"bos_token", "<s>"}});
  return 0;
}

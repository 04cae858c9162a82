// A tokenizer.json, a zero byte, and a text. Property: a file that loads encodes any text without a
// fault, every id is below vocab_size, and the byte tokenizer gives the text back.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trainer/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using llmctl::Tokenizer;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t cut = input.find('\0');
  const std::string_view text = cut == input.npos ? input : input.substr(cut + 1);

  static const Tokenizer bytes = Tokenizer::bytes();
  const auto byte_ids = bytes.encode(text);
  if (!byte_ids.ok() || bytes.decode(*byte_ids) != text) std::abort();

  const auto tokenizer = Tokenizer::parse(input.substr(0, cut), "input");
  if (!tokenizer.ok()) return 0;
  const auto ids = tokenizer->encode(text);
  if (!ids.ok()) return 0;
  llmctl::DecodeStream stream(*tokenizer);
  for (const int32_t id : *ids) {
    if (id < 0 || id >= tokenizer->vocab_size()) std::abort();
    stream.push(id);
  }
  stream.finish();
  tokenizer->decode(*ids);
  return 0;
}

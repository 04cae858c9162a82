#include "trainer/tokenizer/precompiled.h"

#include <utf8proc.h>

#include <cstring>

#include "core/base/utf8.h"
#include "trainer/tokenizer/pieces/characters.h"
#include "trainer/tokenizer/pieces/unicode_class.h"

namespace llmctl {
namespace {

constexpr size_t kWholeBytes = 6;  // shorter grapheme clusters are looked up as one

Result<std::string> decoded_base64(std::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
    const bool digit = c >= '0' && c <= '9';
    if (!upper && !lower && !digit && c != '+' && c != '/') return invalid("not base64");
    const int value = upper      ? c - 'A'
                      : lower    ? c - 'a' + 26
                      : digit    ? c - '0' + 52
                      : c == '+' ? 62
                                 : 63;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count & 0xFF));
  }
  return bytes;
}

// The grapheme cluster at the front, of valid UTF-8; else one byte.
size_t cluster_bytes(std::string_view text) {
  if (utf8_length(text) == 0) return 1;
  size_t at = 0;
  utf8proc_int32_t state = 0;
  uint32_t last = next_code_point(text, at);
  while (at < text.size() && utf8_length(text.substr(at)) > 0) {
    size_t next = at;
    const uint32_t code = next_code_point(text, next);
    const bool breaks = utf8proc_grapheme_break_stateful(
        static_cast<utf8proc_int32_t>(last), static_cast<utf8proc_int32_t>(code), &state);
    // A mark that the installed utf8proc does not know yet belongs to what is before it.
    const bool new_mark = utf8proc_category(static_cast<utf8proc_int32_t>(code)) == 0 &&
                          unicode_set("M")->contains(code) && !unicode_set("C")->contains(last);
    if (breaks && !new_mark) break;
    last = code;
    at = next;
  }
  return at;
}

}  // namespace

Result<PrecompiledMap> PrecompiledMap::parse(std::string_view base64) {
  const std::string bytes = TRY(decoded_base64(base64));
  uint32_t trie_bytes = 0;
  if (bytes.size() >= sizeof(trie_bytes))
    std::memcpy(&trie_bytes, bytes.data(), sizeof(trie_bytes));
  if (trie_bytes == 0 || trie_bytes % 4 != 0 || trie_bytes > bytes.size() - sizeof(trie_bytes)) {
    return invalid("not the character map of a SentencePiece model");
  }
  PrecompiledMap map;
  map.trie_.resize(trie_bytes / 4);
  std::memcpy(map.trie_.data(), bytes.data() + sizeof(trie_bytes), trie_bytes);
  map.texts_ = bytes.substr(sizeof(trie_bytes) + trie_bytes);
  return map;
}

// Of the shortest prefix that has one, as the reference has it.
std::optional<std::string_view> PrecompiledMap::replacement(std::string_view text) const {
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); };
  size_t node = offset(trie_[0]);
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte == 0) break;
    node ^= byte;
    if (node >= trie_.size()) break;
    const uint32_t unit = trie_[node];
    if ((unit & (1u << 31 | 0xFF)) != byte) break;
    node ^= offset(unit);
    if (node >= trie_.size()) break;
    if ((unit >> 8 & 1) == 0) continue;
    const size_t begin = trie_[node] & ~(1u << 31);
    if (begin > texts_.size()) break;
    return std::string_view(texts_).substr(begin, texts_.find('\0', begin) - begin);
  }
  return std::nullopt;
}

std::string PrecompiledMap::apply(std::string_view text) const {
  std::string out;
  while (!text.empty()) {
    const std::string_view cluster = text.substr(0, cluster_bytes(text));
    text.remove_prefix(cluster.size());
    const auto whole = cluster.size() < kWholeBytes ? replacement(cluster) : std::nullopt;
    if (whole) {
      out += *whole;
      continue;
    }
    for (size_t at = 0; at < cluster.size();) {
      const size_t begin = at;
      next_code_point(cluster, at);
      const std::string_view character = cluster.substr(begin, at - begin);
      out += replacement(character).value_or(character);
    }
  }
  return out;
}

}  // namespace llmctl

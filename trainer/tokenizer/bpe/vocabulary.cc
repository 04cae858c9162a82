#include "trainer/tokenizer/bpe/vocabulary.h"

#include <array>
#include <cstdio>

#include "core/base/limits.h"

namespace llmctl {

static constexpr size_t kTokenBytes = 4096;  // the longest public token has 256

std::string shown(std::string_view token) {
  return "\"" + std::string(token.substr(0, 40)) + (token.size() > 40 ? "...\"" : "\"");
}

Status Vocabulary::put(std::string_view token, int64_t id) {
  if (id < 0 || id >= limits::kVocabSize) {
    return invalid(shown(token) + ": id " + std::to_string(id) + " is not between 0 and " +
                   std::to_string(limits::kVocabSize - 1));
  }
  if (token.size() > kTokenBytes) {
    return invalid("token of id " + std::to_string(id) + " is longer than " +
                   std::to_string(kTokenBytes) + " bytes");
  }
  const auto index = static_cast<size_t>(id);
  if (index >= tokens_.size()) {
    tokens_.resize(index + 1);
    taken_.resize(index + 1);
  }
  if (taken_[index]) {
    return invalid(shown(token) + ": id " + std::to_string(id) + " is already that of " +
                   shown(tokens_[index]));
  }
  tokens_[index] = token;
  taken_[index] = true;
  return ok_status();
}

Status Vocabulary::add_token(std::string_view token, int64_t id) {
  TRY(put(token, id));
  if (ids_.emplace(token, static_cast<int32_t>(id)).second) return ok_status();
  return invalid(shown(token) + " appears twice");
}

Status Vocabulary::add_or_replace(std::string_view token, int64_t id) {
  TRY(put(token, id));
  ids_.insert_or_assign(std::string(token), static_cast<int32_t>(id));
  return ok_status();
}

std::optional<int32_t> Vocabulary::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

bool Vocabulary::has(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < taken_.size() && taken_[static_cast<size_t>(id)];
}

std::optional<int32_t> Vocabulary::id_of_byte(uint8_t byte) const {
  std::array<char, 8> name{};
  std::snprintf(name.data(), name.size(), "<0x%02X>", static_cast<unsigned>(byte));
  return id_of(name.data());
}

}  // namespace llmctl

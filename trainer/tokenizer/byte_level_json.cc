// The tokenizer.json that training a byte-level BPE writes.
#include <nlohmann/json.hpp>

#include "trainer/tokenizer/parts.h"
#include "trainer/tokenizer/pieces/alphabet.h"

namespace llmctl {

std::string byte_level_json(const std::vector<std::pair<int32_t, int32_t>>& merges,
                            const std::vector<std::string>& special) {
  std::vector<std::string> tokens;
  tokens.reserve(merges.size() + 257);
  auto vocab = nlohmann::ordered_json::object();
  auto merge_texts = nlohmann::ordered_json::array();
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(alphabet_char(static_cast<uint8_t>(byte)));
  }
  for (const auto& [left, right] : merges) {
    const std::string& a = tokens[static_cast<size_t>(left)];
    const std::string& b = tokens[static_cast<size_t>(right)];
    merge_texts.push_back(std::string(a).append(" ").append(b));
    tokens.push_back(std::string(a).append(b));
  }
  auto added = nlohmann::ordered_json::array();
  const auto add = [&](const std::string& token) {
    added.push_back({{"id", tokens.size()},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
    tokens.push_back(token);
  };
  add("<|endoftext|>");
  for (const std::string& token : special) add(token);
  // push_back appends without the linear search of operator[]; the tokens are distinct.
  for (size_t id = 0; id < tokens.size(); ++id) vocab.push_back({tokens[id], id});
  const nlohmann::ordered_json byte_level = {{"type", "ByteLevel"},
                                             {"add_prefix_space", false},
                                             {"trim_offsets", true},
                                             {"use_regex", true}};
  const nlohmann::ordered_json root = {{"version", "1.0"},
                                       {"truncation", nullptr},
                                       {"padding", nullptr},
                                       {"added_tokens", std::move(added)},
                                       {"normalizer", nullptr},
                                       {"pre_tokenizer", byte_level},
                                       {"post_processor", nullptr},
                                       {"decoder", byte_level},
                                       {"model",
                                        {{"type", "BPE"},
                                         {"dropout", nullptr},
                                         {"unk_token", nullptr},
                                         {"continuing_subword_prefix", nullptr},
                                         {"end_of_word_suffix", nullptr},
                                         {"fuse_unk", false},
                                         {"byte_fallback", false},
                                         {"ignore_merges", false},
                                         {"vocab", std::move(vocab)},
                                         {"merges", std::move(merge_texts)}}}};
  return root.dump() + "\n";
}

}  // namespace llmctl

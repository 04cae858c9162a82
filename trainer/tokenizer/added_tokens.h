// The added tokens of a tokenizer.json: strings that are cut out of the text before anything else
// happens and become one id each. At every place the longest one wins. Some match the raw text,
// others ("normalized") the text after the normalizer, so there are two sets. Immutable; any
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace llmctl {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;             // not next to a letter, digit or '_'
  bool lstrip = false, rstrip = false;  // swallows white space on that side
  bool normalized = false;
  bool special = false;
};

class AddedTokenSet {
 public:
  void add(const AddedToken& token, const std::string& pattern);  // the first of equal ones stays
  // Pieces in order: text between tokens with id -1, and tokens.
  using Emit = std::function<Status(std::string_view text, int32_t id)>;
  Status split(std::string_view text, const Emit& emit) const;

 private:
  struct Node {
    std::map<char, int32_t> next;
    int32_t token = -1;  // index into tokens_
  };
  const AddedToken* longest_at(std::string_view text, size_t at, size_t& length) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> trie_{1};
  std::array<bool, 256> starts_{};  // bytes a token can begin with
};

}  // namespace llmctl

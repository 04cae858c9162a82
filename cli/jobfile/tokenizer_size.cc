#include "cli/jobfile/tokenizer_size.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/base/limits.h"
#include "core/base/read_small_file.h"

namespace llmctl {

// Follows the path of keys and takes the ids it meets. A list adds an unnamed level.
class IdReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  int64_t largest() const { return largest_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool number_integer(number_integer_t) override { return true; }  // negative: not an id
  bool number_unsigned(number_unsigned_t value) override {
    if (is_id() && value <= limits::kVocabSize) {
      largest_ = std::max(largest_, static_cast<int64_t>(value));
    }
    return true;
  }
  bool key(string_t& name) override {
    path_.back() = path_.size() <= 3 ? name : "";
    return true;
  }
  bool start_object(size_t) override { return open(); }
  bool start_array(size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool is_id() const {
    if (path_.size() != 3) return false;
    const bool in_vocab = path_[0] == "model" && path_[1] == "vocab";
    return in_vocab || (path_[0] == "added_tokens" && path_[2] == "id");
  }
  bool open() {
    constexpr size_t kDeepest = 64;  // decoders nest sequences a few levels
    path_.emplace_back();
    return path_.size() <= kDeepest;
  }
  bool close() {
    path_.pop_back();
    return true;
  }

  std::vector<std::string> path_;  // one name per open object or list
  int64_t largest_ = -1;
};

Result<int64_t> tokenizer_vocab_size(const std::string& path) {
  const std::string text = TRY(read_small_file(path, limits::kTokenizerFileBytes));
  IdReader reader;
  if (!nlohmann::json::sax_parse(text, &reader)) {
    return Error{Code::invalid_argument, path + " is not valid JSON", ""};
  }
  if (reader.largest() < 0) {
    return Error{Code::invalid_argument, path + " has no vocabulary (model.vocab)", ""};
  }
  return reader.largest() + 1;
}

}  // namespace llmctl

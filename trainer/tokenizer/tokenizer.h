// Text <-> token ids, from a Hugging Face `tokenizer.json` (models BPE and Unigram, with the
// normalizers, pre-tokenizers and decoders they use), as PyPI `tokenizers` gives them. A Tokenizer
// is an immutable value, cheap to copy; every method may be called from any thread. A file is
// hostile input: sizes are bounded (core/base/limits.h) and an error names the place
// ("tokenizer.json: model.merges[17]: ..."). Text need not be valid UTF-8: byte-level tokenizers
// give back every byte. Anything a file asks for that is not supported is an error, so ids are
// never silently different from those of the reference implementation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace llmctl {

// Changes whenever the code gives other ids for the same file and text, or learns another file:
// what a cache keeps of either is named by it.
inline const std::string kTokenizerCode = "tokenizer code 2 ";

class Tokenizer {
 public:
  static Result<Tokenizer> load(const std::filesystem::path& file);
  // `json` is the text of a tokenizer.json; `name` stands for the file in errors.
  static Result<Tokenizer> parse(std::string_view text, std::string_view name);
  static Tokenizer bytes();  // ids 0..255 are the bytes, 256 is <|endoftext|>

  // Fails only when the file's own pattern needs more matching steps than the limit allows, or a
  // Unigram model has no token for the unknown.
  Result<std::vector<int32_t>> encode(std::string_view text) const;
  // With what every text begins with (begin()), once.
  Result<std::vector<int32_t>> encode_whole(std::string_view text) const;
  std::string decode(std::span<const int32_t> ids) const;  // unknown ids give nothing

  // A text gives the same ids in parts when each is cut behind a line end between two ASCII
  // letters, digits or signs.
  bool lines_are_apart() const;
  int64_t vocab_size() const;  // largest id + 1: the rows an embedding needs
  std::optional<int32_t> eos() const;
  // What a text begins with, a beginning-of-text token as a rule: the post_processor says so, or
  // where it says nothing add_bos_token of tokenizer_config.json.
  std::span<const int32_t> begin() const;
  // What `ids`, the first ones of a text, lack of begin().
  std::span<const int32_t> missing_begin(std::span<const int32_t> ids) const;
  std::optional<int32_t> id_of(std::string_view token) const;  // as written in the file
  std::string token_of(int32_t id) const;                      // its inverse; empty: no such id
  bool is_special(int32_t id) const;                           // an added token that is not text
  const std::string& json() const;                             // the text of the tokenizer.json
  const std::string& fingerprint() const;                      // hex XXH3-128 of the file's text
  // A tokenizer.json, atomically, and eos_token in the tokenizer_config.json beside it.
  Status save(const std::filesystem::path& file) const;

  struct Parts;

 private:
  friend class DecodeStream;
  friend class Encoder;
  explicit Tokenizer(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  std::shared_ptr<const Parts> parts_;
};

class PieceCache;

// Encodes much text on one thread: it remembers the ids of the pieces it met, which makes it
// several times faster than encode(). The ids are the same.
class Encoder {
 public:
  explicit Encoder(Tokenizer tokenizer);
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Status append(std::string_view text, std::vector<int32_t>& ids);

 private:
  Tokenizer tokenizer_;
  std::unique_ptr<PieceCache> cache_;
};

// Decodes token by token for display: each push returns the text that is certain by now and holds
// back an unfinished UTF-8 character, which finish() gives up as U+FFFD.
class DecodeStream {
 public:
  explicit DecodeStream(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}
  std::string push(int32_t id);
  std::string finish();

 private:
  friend class Tokenizer;
  std::string bytes_of(int32_t id);

  Tokenizer tokenizer_;
  std::string pending_;      // start of a character
  bool started_ = false;     // the first token may lose its spaces
  bool held_space_ = false;  // the last token's, which the end of the text drops
  int64_t front_ = 0;        // characters that the text has lost at its front
};

using PhaseFn = std::function<void(const std::string& phase)>;  // "train tokenizer 40%"

// Learns a byte-level BPE (GPT-2's splitting) with the vocabulary 256 bytes + merges +
// <|endoftext|>. Deterministic: equal counts are settled by ids. Stops early when no pair occurs
// twice. Requires vocab_size >= 257, else invalid_argument.
class BpeTrainer {
 public:
  explicit BpeTrainer(int threads = 1);  // that count words; 0: all
  ~BpeTrainer();
  Status add(std::string_view text);  // call as often as there is text
  // Once, after all text. `special` tokens come after <|endoftext|> and count as part of the size.
  Result<Tokenizer> train(int64_t vocab_size,
                          const PhaseFn& phase,
                          const std::vector<std::string>& special = {});

 private:
  class Words;
  std::unique_ptr<Words> words_;
};

Result<Tokenizer> train_bpe(std::span<const std::string_view> texts,
                            int64_t vocab_size,
                            const PhaseFn& phase);

}  // namespace llmctl

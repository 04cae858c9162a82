// The sections of a tokenizer.json that say which tokens there are: model (vocabulary and merges)
// and added_tokens.
#include <set>

#include "core/base/limits.h"
#include "trainer/tokenizer/bpe/model.h"
#include "trainer/tokenizer/tokenizer_file.h"
#include "trainer/tokenizer/unigram.h"

namespace llmctl {
namespace dom = simdjson::dom;
namespace {

constexpr size_t kAddedTokens = 100'000;

Status read_vocab(const JsonMember& vocab, BpeModel& model) {
  for (const auto [token, value] : TRY(vocab.object())) {
    int64_t id = -1;
    if (value.get(id) != simdjson::SUCCESS) {
      return invalid_at(vocab.place() + "[\"" + std::string(token.substr(0, 40)) + "\"]",
                        "expected a whole number");
    }
    const Status added = model.add_token(token, id);
    if (!added.ok()) return invalid_at(vocab.place(), added.error().message);
  }
  return ok_status();
}

// "left right" or ["left", "right"]; views into the parsed document.
Result<std::pair<std::string_view, std::string_view>> merge_sides(dom::element merge) {
  std::string_view text, left, right;
  dom::array pair;
  if (merge.get(text) == simdjson::SUCCESS) {
    const size_t space = text.find(' ');
    if (space == text.npos || text.find(' ', space + 1) != text.npos) {
      return invalid_at("", "expected two tokens with one space between");
    }
    return std::pair(text.substr(0, space), text.substr(space + 1));
  }
  if (merge.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
      pair.at(0).get(left) != simdjson::SUCCESS || pair.at(1).get(right) != simdjson::SUCCESS) {
    return invalid_at("", "expected \"left right\" or [\"left\", \"right\"]");
  }
  return std::pair(left, right);
}

Status read_merges(const JsonMember& merges, BpeModel& model) {
  size_t index = 0;
  for (const dom::element merge : TRY(merges.array())) {
    const auto added = [&]() -> Status {
      const auto [left, right] = TRY(merge_sides(merge));
      return model.add_merge(left, right);
    }();
    if (!added.ok()) {
      return invalid_at(merges.place() + "[" + std::to_string(index) + "]", added.error().message);
    }
    ++index;
  }
  return ok_status();
}

}  // namespace

namespace {

Result<std::unique_ptr<const PieceModel>> read_bpe(const JsonMember& model, bool byte_level) {
  if (model["dropout"].present() && TRY(model["dropout"].real()) != 0) {
    return model["dropout"].unsupported("dropout");
  }
  BpeModel::Options options;
  options.byte_level = byte_level;
  options.byte_fallback = TRY(model["byte_fallback"].flag(false));
  options.fuse_unk = TRY(model["fuse_unk"].flag(false));
  options.ignore_merges = TRY(model["ignore_merges"].flag(false));
  options.unk_token = TRY(model["unk_token"].text(""));
  options.prefix = TRY(model["continuing_subword_prefix"].text(""));
  options.suffix = TRY(model["end_of_word_suffix"].text(""));
  const bool affixes = !options.prefix.empty() || !options.suffix.empty();
  if (affixes && options.byte_fallback) {
    return model["byte_fallback"].unsupported("together with a prefix or suffix of words");
  }
  auto bpe = std::make_unique<BpeModel>(std::move(options));
  TRY(read_vocab(model["vocab"], *bpe));
  TRY(read_merges(model["merges"], *bpe));
  const Status finished = bpe->finish();
  if (!finished.ok()) return invalid_at("model", finished.error().message);
  return std::unique_ptr<const PieceModel>(std::move(bpe));
}

// "vocab" is a list of ["token", score]; ids count up.
Result<std::unique_ptr<const PieceModel>> read_unigram(const JsonMember& model) {
  std::optional<int64_t> unk;
  if (model["unk_id"].present()) unk = TRY(model["unk_id"].number());
  const bool byte_fallback = TRY(model["byte_fallback"].flag(false));
  auto unigram = std::make_unique<UnigramModel>(unk, byte_fallback);
  size_t index = 0;
  for (const dom::element entry : TRY(model["vocab"].array())) {
    dom::array pair;
    std::string_view token;
    double score = 0;
    const std::string place = model["vocab"].place() + "[" + std::to_string(index++) + "]";
    if (entry.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
        pair.at(0).get(token) != simdjson::SUCCESS || pair.at(1).get(score) != simdjson::SUCCESS) {
      return invalid_at(place, "expected [\"token\", score]");
    }
    const Status added = unigram->add_token(token, score);
    if (!added.ok()) return invalid_at(place, added.error().message);
  }
  const Status finished = unigram->finish();
  if (!finished.ok()) return invalid_at("model", finished.error().message);
  return std::unique_ptr<const PieceModel>(std::move(unigram));
}

}  // namespace

Status read_model(const JsonMember& root, Tokenizer::Parts& parts) {
  const JsonMember model = root["model"];
  TRY(model.object());
  const std::string type = TRY(model["type"].text("BPE"));
  if (type == "Unigram") {
    parts.model = TRY(read_unigram(model));
  } else if (type == "BPE") {
    parts.model = TRY(read_bpe(model, parts.pretokenizer.byte_level()));
  } else {
    return model["type"].unsupported("\"" + type + "\"");
  }
  return ok_status();
}

namespace {

Result<AddedToken> read_added_token(const JsonMember& field, const Vocabulary& vocabulary) {
  AddedToken token;
  token.content = TRY(field["content"].text(""));
  if (token.content.size() > kContentBytes) return invalid_at(field["content"].place(), "too long");
  const int64_t id = TRY(field["id"].number());
  if (id < 0 || id >= limits::kVocabSize) return invalid_at(field["id"].place(), "out of range");
  token.id = static_cast<int32_t>(id);
  const auto known = vocabulary.id_of(token.content);
  if (known && *known != token.id) {
    return invalid_at(field["id"].place(),
                      "the vocabulary gives this token the id " + std::to_string(*known));
  }
  if (!known && vocabulary.has(token.id)) {
    return invalid_at(field["id"].place(), "is already that of another token of the vocabulary");
  }
  token.single_word = TRY(field["single_word"].flag(false));
  token.lstrip = TRY(field["lstrip"].flag(false));
  token.rstrip = TRY(field["rstrip"].flag(false));
  token.normalized = TRY(field["normalized"].flag(false));
  token.special = TRY(field["special"].flag(false));
  return token;
}

}  // namespace

Status read_added_tokens(const JsonMember& root, Tokenizer::Parts& parts) {
  std::set<int32_t> ids;
  size_t bytes = 0;
  for (const JsonMember& field : TRY(root["added_tokens"].list(kAddedTokens))) {
    AddedToken token = TRY(read_added_token(field, parts.model->vocabulary()));
    if (!ids.insert(token.id).second) return invalid_at(field["id"].place(), "appears twice");
    bytes += token.content.size();
    if (bytes > (1 << 20))
      return invalid_at(root["added_tokens"].place(), "more than 1 MiB of text");
    if (token.normalized) {
      parts.normalized_tokens.add(token, TRY(normalize(parts.normalizer, token.content)));
    } else {
      parts.raw_tokens.add(token, token.content);
    }
    parts.added.push_back(std::move(token));
  }
  return ok_status();
}

}  // namespace llmctl

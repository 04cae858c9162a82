#include "trainer/tokenizer/tokenizer.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base/utf8.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/disk.h"
#include "trainer/files/mapped_file.h"
#include "trainer/tokenizer/parts.h"
#include "trainer/tokenizer/tokenizer_config.h"
#include "trainer/tokenizer/tokenizer_file.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";

// tokenizer.json does not say which token ends a document; these are what the families call it.
constexpr const char* kEosNames[] = {"<|endoftext|>", "</s>",       "<|end_of_text|>",
                                     "<eos>",         "<|eot_id|>", "<|im_end|>"};

std::optional<int32_t> find_id(const Tokenizer::Parts& parts, std::string_view token) {
  for (const AddedToken& added : parts.added) {
    if (added.content == token) return added.id;
  }
  return parts.model->vocabulary().id_of(token);
}

// Where tokenizer.json is silent, add_bos_token counts; where it speaks, they must agree.
Status settle_begin(const nlohmann::json& config, Tokenizer::Parts& parts) {
  const auto wanted = config.is_object() ? config.find("add_bos_token") : config.end();
  if (wanted == config.end() || !wanted->is_boolean()) return ok_status();
  const auto bos = find_id(parts, special_token(config, "bos_token"));
  if (!bos) return ok_status();
  if (*wanted && parts.begin.empty()) parts.begin.push_back(*bos);
  if (!*wanted && !parts.begin.empty() && parts.begin.front() == *bos) {
    return invalid(
        "its post_processor begins every text with the bos_token, but tokenizer_config.json says "
        "add_bos_token: false",
        "make the two agree");
  }
  return ok_status();
}

Result<std::shared_ptr<Tokenizer::Parts>> read_parts(std::string_view text,
                                                     std::string_view name,
                                                     const nlohmann::json& config) {
  auto parts = std::make_shared<Tokenizer::Parts>();
  Status read = read_tokenizer_file(text, *parts);
  if (read.ok()) read = settle_begin(config, *parts);
  if (!read.ok()) {
    return Error{read.error().code, std::string(name) + ": " + read.error().message,
                 read.error().hint};
  }
  const std::string eos = special_token(config, "eos_token");
  if (!eos.empty()) parts->eos = find_id(*parts, eos);
  for (const char* candidate : kEosNames) {
    if (!parts->eos) parts->eos = find_id(*parts, candidate);
  }
  parts->json = text;
  std::string key = content_hash(text) + std::to_string(parts->eos.value_or(-1));
  for (const int32_t id : parts->begin) key += " begins " + std::to_string(id);
  parts->fingerprint = content_hash(key);
  return parts;
}

// Bytes at the end that may become a character with more to come; 0 when none.
size_t unfinished(std::string_view text) {
  for (size_t n = 1; n <= 3 && n <= text.size(); ++n) {
    const auto byte = static_cast<uint8_t>(text[text.size() - n]);
    if (byte < 0x80) return 0;
    if (byte < 0xC0) continue;
    const size_t whole = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
    return whole > n ? n : 0;
  }
  return 0;
}

std::string with_replacements(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text.substr(i));
    out += length == 0 ? std::string_view(kReplacement) : text.substr(i, length);
    i += std::max<size_t>(length, 1);
  }
  return out;
}

}  // namespace

Result<Tokenizer> Tokenizer::load(const fs::path& file) {
  const auto mapped = TRY(MappedFile::open(file));
  const auto config = TRY(read_tokenizer_config(file));  // tokenizer.json does not tell its end
  auto parts = TRY(read_parts(as_text(mapped->bytes()), file.string(), config));
  return Tokenizer(std::move(parts));
}

Result<Tokenizer> Tokenizer::parse(std::string_view text, std::string_view name) {
  auto parts = TRY(read_parts(text, name, nullptr));
  return Tokenizer(std::move(parts));
}

Tokenizer Tokenizer::bytes() {
  auto parsed = parse(byte_level_json({}), "bytes");
  CHECK(parsed.ok());
  return std::move(*parsed);
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  DecodeStream stream(*this);
  std::string text;
  for (const int32_t id : ids) text += stream.bytes_of(id);
  return text;
}

bool Tokenizer::lines_are_apart() const {
  const Parts& parts = *parts_;
  const bool kept = std::all_of(
      parts.normalizer.begin(), parts.normalizer.end(),
      [](const NormalizerStep& step) { return step.kind == NormalizerStep::Kind::normal_form; });
  const bool reaches_over =
      std::any_of(parts.added.begin(), parts.added.end(), [](const AddedToken& token) {
        return token.lstrip || token.rstrip || token.content.find('\n') != std::string::npos;
      });
  return parts.pretokenizer.only_published() != nullptr && kept && !reaches_over;
}

int64_t Tokenizer::vocab_size() const {
  return static_cast<int64_t>(parts_->bytes_of_id.size());
}

std::optional<int32_t> Tokenizer::eos() const {
  return parts_->eos;
}

std::span<const int32_t> Tokenizer::begin() const {
  return parts_->begin;
}

std::span<const int32_t> Tokenizer::missing_begin(std::span<const int32_t> ids) const {
  const std::span<const int32_t> wanted = parts_->begin;
  const bool there =
      ids.size() >= wanted.size() && std::equal(wanted.begin(), wanted.end(), ids.begin());
  return there ? wanted.first(0) : wanted;
}

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  return find_id(*parts_, token);
}

std::string Tokenizer::token_of(int32_t id) const {
  for (const AddedToken& added : parts_->added) {
    if (added.id == id) return added.content;
  }
  const auto& tokens = parts_->model->vocabulary().tokens();
  const auto index = static_cast<size_t>(id);
  return id >= 0 && index < tokens.size() ? tokens[index] : "";
}

bool Tokenizer::is_special(int32_t id) const {
  return std::any_of(parts_->added.begin(), parts_->added.end(),
                     [&](const AddedToken& added) { return added.id == id && added.special; });
}

const std::string& Tokenizer::json() const {
  return parts_->json;
}

const std::string& Tokenizer::fingerprint() const {
  return parts_->fingerprint;
}

Status Tokenizer::save(const fs::path& file) const {
  nlohmann::json config = TRY(read_tokenizer_config(file));  // what else it says stays
  const auto text = as_bytes(parts_->json);
  TRY(replace_file(file, std::span(&text, 1)));
  if (!parts_->eos) return ok_status();
  config["eos_token"] = token_of(*parts_->eos);
  const std::string config_text = config.dump(1) + "\n";
  const auto bytes = as_bytes(config_text);
  return replace_file(file.parent_path() / "tokenizer_config.json", std::span(&bytes, 1));
}

// What the id adds to the text: its own, less what the beginning of a text loses.
std::string DecodeStream::bytes_of(int32_t id) {
  const Tokenizer::Parts& parts = *tokenizer_.parts_;
  const DecoderRules& rules = parts.decoder;
  const auto index = static_cast<size_t>(id);
  if (id < 0 || index >= parts.bytes_of_id.size()) return "";
  std::string text = !started_ && rules.first_differs
                         ? decoded(rules, tokenizer_.token_of(id), true)
                         : parts.bytes_of_id[index];
  while (front_ < rules.front_count && text.starts_with(rules.front)) {
    text.erase(0, rules.front.size());
    ++front_;
  }
  if (!text.empty()) front_ = rules.front_count;
  if (started_ && rules.separated) text.insert(0, " ");
  if (held_space_) text.insert(0, " ");
  held_space_ = !rules.word_end.empty() && text.ends_with(' ') &&
                tokenizer_.token_of(id).ends_with(rules.word_end);
  if (held_space_) text.pop_back();
  started_ = true;
  return text;
}

std::string DecodeStream::push(int32_t id) {
  pending_ += bytes_of(id);
  const size_t kept = unfinished(pending_);
  std::string ready =
      with_replacements(std::string_view(pending_).substr(0, pending_.size() - kept));
  pending_.erase(0, pending_.size() - kept);
  return ready;
}

std::string DecodeStream::finish() {
  std::string rest = pending_.empty() ? "" : kReplacement;
  pending_.clear();
  return rest;
}

}  // namespace llmctl

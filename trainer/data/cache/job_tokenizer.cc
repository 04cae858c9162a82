#include "trainer/data/cache/job_tokenizer.h"

#include "trainer/data/cache/build_lock.h"
#include "trainer/data/cache/prune.h"
#include "trainer/files/content_hash.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

// The text a tokenizer is learned from.
Status add_text(BpeTrainer& trainer, const SourceFile& source, const ChatFormat* format) {
  if (source.chat == nullptr) {
    return for_each_document(source, [&](std::string_view text) { return trainer.add(text); });
  }
  return for_each_record(source, [&](std::string_view json, int64_t line) -> Status {
    const auto chat = format->format(json, *source.chat);
    if (chat.ok()) return trainer.add(chat->text);
    const Error& error = chat.error();
    return Error{error.code, at_line(source.path.string(), line, error.message), error.hint};
  });
}

Result<Tokenizer> trained_tokenizer(int64_t vocab_size,
                                    const HashedSources& sources,
                                    const Preparation& p) {
  const std::string key =
      content_hash(kTokenizerCode + sources.hash + "bpe" + std::to_string(vocab_size) +
                   (p.format != nullptr ? p.format->fingerprint() : ""));
  const fs::path directory = p.cache_dir / ("tokenizer-" + key);
  const fs::path file = directory / "tokenizer.json";
  std::error_code failed;
  fs::create_directories(directory, failed);
  auto ready = Tokenizer::load(file);
  mark_used(directory);
  if (ready.ok()) return ready;
  const auto lock = TRY(BuildLock::acquire(file, p.phase));
  ready = Tokenizer::load(file);
  if (ready.ok()) return ready;
  BpeTrainer trainer(p.threads);
  for (const SourceFile& source : sources.files) {
    if (p.phase) p.phase("count words of " + source.path.filename().string());
    TRY(add_text(trainer, source, p.format));
  }
  const auto special =
      p.format != nullptr ? p.format->special_tokens() : std::vector<std::string>();
  const auto tokenizer = TRY(trainer.train(vocab_size, p.phase, special));
  TRY(check_unchanged(sources));
  TRY(tokenizer.save(file));
  return Tokenizer::load(file);
}

}  // namespace

Result<Tokenizer> job_tokenizer(const JobSpec& spec,
                                const HashedSources& sources,
                                const Preparation& preparation) {
  switch (spec.tokenizer.kind) {
    case TokenizerSpec::Kind::bytes:
      return Tokenizer::bytes();
    case TokenizerSpec::Kind::file:
      return Tokenizer::load(spec.tokenizer.path);
    case TokenizerSpec::Kind::train:
      break;
  }
  return trained_tokenizer(spec.tokenizer.vocab_size, sources, preparation);
}

}  // namespace llmctl

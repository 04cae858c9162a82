// The data path by itself, for bench/data.py: one JSON line with seconds, loading not included.
//   data_bench encode TOKENIZER.json THREADS FILE     documents of the file are its blocks of 8 KiB
//   data_bench train VOCAB_SIZE THREADS FILE OUT.json
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "trainer/data/cache/token_pipeline.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/mapped_file.h"

namespace llmctl {
namespace {

constexpr size_t kDocumentBytes = 8 << 10;

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::vector<std::string_view> documents_of(std::string_view text) {
  std::vector<std::string_view> documents;
  while (!text.empty()) {
    const size_t line_end = text.find('\n', std::min(kDocumentBytes, text.size()));
    const size_t bytes = line_end == text.npos ? text.size() : line_end + 1;
    documents.push_back(text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
  return documents;
}

Status encode(const std::string& tokenizer_file, int threads, std::string_view text) {
  const Tokenizer tokenizer = TRY(Tokenizer::load(tokenizer_file));
  const auto documents = documents_of(text);
  const auto begin = std::chrono::steady_clock::now();
  size_t tokens = 0;
  TokenPipeline pipeline(tokenizer, nullptr, usable_threads(threads),
                         [&](const TokenPipeline::Stretch& stretch) {
                           tokens += stretch.ids.size();
                           return ok_status();
                         });
  for (const std::string_view document : documents) TRY(pipeline.add(document));
  TRY(pipeline.finish());
  std::printf("{\"seconds\":%.6f,\"tokens\":%zu}\n", seconds_since(begin), tokens);
  return ok_status();
}

Status train(int64_t vocab_size, int threads, std::string_view text, const std::string& out) {
  const auto begin = std::chrono::steady_clock::now();
  BpeTrainer trainer(threads);
  for (const std::string_view document : documents_of(text)) TRY(trainer.add(document));
  const Tokenizer tokenizer = TRY(trainer.train(vocab_size, {}));
  std::printf("{\"seconds\":%.6f,\"vocab_size\":%lld}\n", seconds_since(begin),
              static_cast<long long>(tokenizer.vocab_size()));
  return tokenizer.save(out);
}

int main(const std::vector<std::string>& args) {
  if (args.size() < 4) {
    std::fputs("usage: data_bench encode TOKENIZER THREADS FILE | train VOCAB THREADS FILE OUT\n",
               stderr);
    return 2;
  }
  const auto file = MappedFile::open(args[3]);
  if (!file.ok()) {
    std::fprintf(stderr, "%s\n", file.error().message.c_str());
    return 1;
  }
  const std::string_view text = as_text((*file)->bytes());
  const int threads = std::atoi(args[2].c_str());
  const Status done = args[0] == "encode"
                          ? encode(args[1], threads, text)
                          : train(std::atoll(args[1].c_str()), threads, text, args.at(4));
  if (!done.ok()) std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return done.ok() ? 0 : 1;
}

}  // namespace
}  // namespace llmctl

int main(int argc, char** argv) {
  return llmctl::main({argv + 1, argv + argc});
}

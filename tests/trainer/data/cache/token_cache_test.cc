#include "trainer/data/cache/token_cache.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/trainer/scratch.h"
#include "trainer/data/cache/prune.h"
#include "trainer/data/cache/token_pipeline.h"
#include "trainer/data/sources/source_hash.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

HashedSources prepare(const fs::path& directory, int documents) {
  std::string jsonl;
  for (int i = 0; i < documents; ++i) {
    jsonl += "{\"text\":\"document number " + std::to_string(i) + "\"}\n";
  }
  write_file(directory / "d.jsonl", jsonl);
  HashedSources prepared{{{directory / "d.jsonl", true, "text"}}, ""};
  prepared.hash = *hash_sources(prepared.files, directory / "hashes", 0, {});
  return prepared;
}

Result<TokenCache> open_cache(const HashedSources& data,
                              const fs::path& cache_dir,
                              int threads = 2) {
  return TokenCache::open_or_build(data, Tokenizer::bytes(),
                                   {.cache_dir = cache_dir, .threads = threads});
}

fs::path cache_file(const fs::path& cache_dir) {
  for (const auto& entry : fs::directory_iterator(cache_dir)) {
    if (entry.path().extension() == ".bin") return entry.path();
  }
  return {};
}

TEST(TokenCache, HoldsEveryDocumentAndItsEnd) {
  const Scratch scratch;
  const auto data = prepare(scratch.path(), 12);
  const auto cache = open_cache(data, scratch.path() / "cache");
  ASSERT_TRUE(cache.ok()) << cache.error().message;
  ASSERT_EQ(cache->document_ends().size(), 12u);
  std::vector<int32_t> ids(cache->document_ends()[11] - cache->document_ends()[10]);
  ASSERT_TRUE(cache->read(static_cast<int64_t>(cache->document_ends()[10]), ids).ok());
  EXPECT_EQ(ids.back(), 256);
  ids.pop_back();
  EXPECT_EQ(Tokenizer::bytes().decode(ids), "document number 11");
  EXPECT_EQ(cache->tokens(), static_cast<int64_t>(cache->document_ends()[11]));
}

TEST(TokenCache, IsNotBuiltOfDataThatChangedWhileItWasRead) {
  const Scratch scratch;
  const fs::path cache_dir = scratch.path() / "cache";
  HashedSources data = prepare(scratch.path(), 12);
  data.state = *state_of_sources(data.files);
  EXPECT_TRUE(check_unchanged(data).ok());
  write_file(data.files[0].path, "{\"text\":\"what is left\"}\n");
  const auto cache = open_cache(data, cache_dir);
  ASSERT_FALSE(cache.ok());
  EXPECT_NE(cache.error().message.find("d.jsonl changed while it was read"), std::string::npos);
  EXPECT_TRUE(cache_file(cache_dir).empty());
}

TEST(TokenCache, ADocumentBeginsAsEveryTextDoes) {
  const Scratch scratch;
  nlohmann::json file = nlohmann::json::parse(Tokenizer::bytes().json());
  file["post_processor"] = {{"type", "BertProcessing"}, {"sep", {"<s>", 7}}, {"cls", {"<s>", 7}}};
  const auto tokenizer = Tokenizer::parse(file.dump(), "t.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const auto cache = TokenCache::open_or_build(prepare(scratch.path(), 2), *tokenizer,
                                               {.cache_dir = scratch.path() / "cache"});
  ASSERT_TRUE(cache.ok()) << cache.error().message;
  for (const int64_t begin : {int64_t{0}, static_cast<int64_t>(cache->document_ends()[0])}) {
    std::vector<int32_t> ids(2);
    ASSERT_TRUE(cache->read(begin, ids).ok());
    EXPECT_EQ(ids, (std::vector<int32_t>{7, 'd'}));
  }
}

// Parts of a long document give the ids of the whole; what may not be cut is not.
TEST(TokenCache, ALongDocumentGivesTheIdsOfTheWhole) {
  std::string text;
  while (text.size() < (9 << 20)) text += "one line\n\n  two words \nand.\nmore of it\n";
  const fs::path golden = fs::path(LLMCTL_SOURCE_DIR) / "tests/trainer/tokenizer/golden";
  for (const char* name : {"llama3", "gpt2", "qwen", "sentencepiece"}) {
    const auto tokenizer = Tokenizer::load(golden / (std::string(name) + ".tokenizer.json"));
    ASSERT_TRUE(tokenizer.ok());
    std::vector<int32_t> parts, whole;
    int stretches = 0;
    TokenPipeline pipeline(*tokenizer, nullptr, 2, [&](const TokenPipeline::Stretch& stretch) {
      parts.insert(parts.end(), stretch.ids.begin(), stretch.ids.end());
      ++stretches;
      return ok_status();
    });
    ASSERT_TRUE(pipeline.add(text).ok());
    ASSERT_TRUE(pipeline.finish().ok());
    ASSERT_TRUE(Encoder(*tokenizer).append(text, whole).ok());
    EXPECT_TRUE(parts == whole) << name;
    EXPECT_EQ(stretches, std::string(name) == "sentencepiece" ? 1 : 2) << name;
  }
}

TEST(TokenCache, WhatWasNotUsedForLongGoes) {
  const Scratch scratch;
  const std::string hash(32, 'a');
  const auto put = [&](const std::string& name, bool old) {
    const fs::path file = scratch.path() / name;
    write_file(file, "x");
    const timespec past[] = {{1'000'000, 0}, {1'000'000, 0}};
    if (old) {
      EXPECT_EQ(::utimensat(AT_FDCWD, file.c_str(), past, 0), 0);
    }
    return file;
  };
  const fs::path stale = put("tokens-" + hash + ".bin", true), mine = put("notes.bin", true);
  const fs::path fresh = put("facts-" + hash + ".json", false);
  const fs::path used = put("tokens-" + std::string(32, 'b') + ".bin", true);
  mark_used(used);
  prune_cache(scratch.path());
  EXPECT_FALSE(fs::exists(stale));
  EXPECT_TRUE(fs::exists(mine) && fs::exists(fresh) && fs::exists(used));
}

TEST(TokenCache, IsBuiltOnceAndKeyedByContentNotByPath) {
  const Scratch scratch;
  const fs::path cache_dir = scratch.path() / "cache";
  ASSERT_TRUE(open_cache(prepare(scratch.path() / "a", 5), cache_dir).ok());
  const auto written = fs::last_write_time(cache_file(cache_dir));
  ASSERT_TRUE(open_cache(prepare(scratch.path() / "b", 5), cache_dir).ok());
  EXPECT_EQ(fs::last_write_time(cache_file(cache_dir)), written);
  ASSERT_TRUE(open_cache(prepare(scratch.path() / "b", 6), cache_dir).ok());
  int files = 0;
  for (const auto& entry : fs::directory_iterator(cache_dir)) {
    files += entry.path().extension() == ".bin";
  }
  EXPECT_EQ(files, 2);
}

TEST(TokenCache, DamageIsFoundAndTheFileBuiltAgain) {
  const Scratch scratch;
  const fs::path cache_dir = scratch.path() / "cache";
  const auto data = prepare(scratch.path(), 1);
  ASSERT_TRUE(open_cache(data, cache_dir).ok());
  const fs::path file = cache_file(cache_dir);
  const std::string good = read_file(file);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    write_file(file, bad);
    const auto opened = TokenCache::open(file);
    const Status whole = opened.ok() ? opened->verify() : Status(opened.error());
    ASSERT_FALSE(whole.ok()) << "bit " << bit;
    ASSERT_EQ(whole.error().code, opened.ok() ? Code::unavailable : Code::data_loss);
  }
  ASSERT_TRUE(open_cache(data, cache_dir).ok());
  EXPECT_EQ(read_file(file), good);
}

TEST(TokenCache, DamageAmongTheIdsIsFoundWhereItIsReadAndTheFileLeft) {
  const Scratch scratch;
  const fs::path cache_dir = scratch.path() / "cache";
  const auto data = prepare(scratch.path(), 20'000);
  const int64_t tokens = open_cache(data, cache_dir)->tokens();
  const fs::path file = cache_file(cache_dir);
  std::string bytes = read_file(file);
  const auto middle = static_cast<size_t>(64 + tokens);  // ids have two bytes
  bytes[middle] = static_cast<char>(bytes[middle] ^ 1);
  write_file(file, bytes);
  const auto cache = open_cache(data, cache_dir);
  ASSERT_TRUE(cache.ok()) << cache.error().message;
  std::vector<int32_t> ids(100);
  EXPECT_TRUE(cache->read(0, ids).ok()) << "far from the damage";
  const Status read = cache->read(tokens / 2, ids);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, Code::unavailable);
  EXPECT_FALSE(fs::exists(file));
  EXPECT_TRUE(open_cache(data, cache_dir)->verify().ok());
}

TEST(TokenCache, ProcessesThatRaceForItAllGetAWholeOne) {
  const Scratch scratch;
  const fs::path cache_dir = scratch.path() / "cache";
  const auto data = prepare(scratch.path(), 20'000);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto cache = open_cache(data, cache_dir);
      ::_exit(cache.ok() && cache->document_ends().size() == 20'000 ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
}

TEST(TokenCache, FullDiskIsNamedAndLeavesNothingBehind) {
  const Scratch scratch;
  const fs::path cache_dir = scratch.path() / "cache";
  const auto data = prepare(scratch.path(), 2'000);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto cache = open_cache(data, cache_dir);
    ::_exit(!cache.ok() && cache.error().code == Code::resource_exhausted ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(cache_file(cache_dir), fs::path());
  EXPECT_TRUE(open_cache(data, cache_dir).ok());
}

TEST(TokenCache, DoesNotDependOnTheNumberOfThreads) {
  const Scratch scratch;
  const auto data = prepare(scratch.path(), 50'000);  // several batches
  std::vector<std::string> files;
  for (const int threads : {1, 2, 5}) {
    const fs::path cache_dir = scratch.path() / ("cache" + std::to_string(threads));
    ASSERT_TRUE(open_cache(data, cache_dir, threads).ok());
    files.push_back(read_file(cache_file(cache_dir)));
  }
  EXPECT_EQ(files[0], files[1]);
  EXPECT_EQ(files[0], files[2]);
}

TEST(TokenCache, ErrorOfADocumentEndsTheBuild) {
  const Scratch scratch;
  std::string jsonl;
  for (int i = 0; i < 20'000; ++i) jsonl += "{\"text\":\"some text that fills batches\"}\n";
  write_file(scratch.path() / "d.jsonl", jsonl + "{\"text\":7}\n" + jsonl);
  const HashedSources data{{{scratch.path() / "d.jsonl", true, "text"}}, "key"};
  const auto cache = open_cache(data, scratch.path() / "cache");
  ASSERT_FALSE(cache.ok());
  EXPECT_NE(cache.error().message.find("d.jsonl:20001: "), std::string::npos);
}

TEST(TokenCache, LongTextIsEncodedInPartsWithoutLosingAByte) {
  const Scratch scratch;
  std::string text;
  while (text.size() < (18u << 20)) text += "a line of text, été 漢字\n";
  write_file(scratch.path() / "t.txt", text);
  HashedSources data{{{scratch.path() / "t.txt", false, ""}}, "key"};
  const auto cache = open_cache(data, scratch.path() / "cache");
  ASSERT_TRUE(cache.ok()) << cache.error().message;
  std::vector<int32_t> ids(static_cast<size_t>(cache->tokens()) - 1);
  ASSERT_TRUE(cache->read(0, ids).ok());
  EXPECT_EQ(Tokenizer::bytes().decode(ids), text);
}

}  // namespace
}  // namespace llmctl

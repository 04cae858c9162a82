#include "trainer/data/batches.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "tests/trainer/data/open_batches.h"
#include "trainer/data/shuffle.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSequence = 16;

std::string records(int from, int to) {
  std::string jsonl;
  for (int i = from; i < to; ++i) {
    jsonl += "{\"text\":\"text of the document " + std::to_string(i) + "\"}\n";
  }
  return jsonl;
}

JobSpec spec_for(const fs::path& file) {
  JobSpec spec;
  spec.datasets = {{file, "auto", "text"}};
  spec.sequence_len = kSequence;
  return spec;
}

std::string sequence(const Batches& batches, int64_t epoch, int64_t index) {
  std::vector<int32_t> ids(kSequence), labels(kSequence), documents;
  EXPECT_TRUE(batches.fill(epoch, index, {ids, labels, documents}).ok());
  EXPECT_TRUE(documents.empty());
  EXPECT_TRUE(std::equal(ids.begin() + 1, ids.end(), labels.begin()));
  ids.push_back(labels.back());
  return batches.tokenizer().decode(ids);
}

std::string validation_text(const Batches& batches) {
  std::string text;
  std::vector<int32_t> ids(kSequence), labels(kSequence), documents;
  for (int64_t i = 0; i < batches.validation_sequences(); ++i) {
    EXPECT_TRUE(batches.fill_validation(i, {ids, labels, documents}).ok());
    text += batches.tokenizer().decode(ids);
  }
  return text;
}

TEST(Order, IsAPermutationForEveryCount) {
  for (const int64_t count : {1, 2, 3, 5, 16, 17, 255, 256, 257, 1000}) {
    for (const uint64_t key : {0ULL, 1ULL, ~0ULL}) {
      std::vector<int64_t> seen;
      for (int64_t i = 0; i < count; ++i) seen.push_back(shuffled(i, count, key));
      std::sort(seen.begin(), seen.end());
      std::vector<int64_t> expected(static_cast<size_t>(count));
      std::iota(expected.begin(), expected.end(), 0);
      ASSERT_EQ(seen, expected) << count;
    }
  }
}

TEST(Order, IsTheSameForEver) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < 8; ++i) order.push_back(shuffled(i, 8, 42));
  EXPECT_EQ(order, (std::vector<int64_t>{7, 0, 3, 4, 1, 5, 6, 2}));
  EXPECT_LT(shuffled(123, int64_t{1} << 60, 7), int64_t{1} << 60);
}

TEST(Batches, EachEpochVisitsEverySequenceOnceInAnotherOrder) {
  const Scratch scratch;
  write_file(scratch.path() / "d.jsonl", records(0, 200));
  const Batches batches = open_batches(spec_for(scratch.path() / "d.jsonl"), scratch);
  const int64_t count = batches.train_sequences();
  ASSERT_GT(count, 100);
  std::vector<std::string> first, second;
  for (int64_t i = 0; i < count; ++i) {
    first.push_back(sequence(batches, 0, i));
    second.push_back(sequence(batches, 1, i));
  }
  EXPECT_NE(first, second);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, second);
}

TEST(Batches, ResumeNeedsOnlyThePosition) {
  const Scratch scratch;
  write_file(scratch.path() / "d.jsonl", records(0, 200));
  const JobSpec spec = spec_for(scratch.path() / "d.jsonl");
  const Batches before = open_batches(spec, scratch);
  const std::string expected = sequence(before, 3, 77);
  EXPECT_EQ(sequence(open_batches(spec, scratch), 3, 77), expected);
  JobSpec other = spec;
  other.seed = 43;
  EXPECT_NE(sequence(open_batches(other, scratch), 3, 77), expected);
}

TEST(Batches, SequencesOverlapByTheOneTokenThatIsOnlyALabel) {
  const Scratch scratch;
  write_file(scratch.path() / "t.txt", std::string(33, 'a') + std::string(15, 'b'));
  JobSpec spec = spec_for(scratch.path() / "t.txt");
  const Batches batches = open_batches(spec, scratch);
  EXPECT_EQ(batches.train_sequences(), 3);  // 48 letters and the end of text
  std::multiset<std::string> all;
  for (int64_t i = 0; i < 3; ++i) all.insert(sequence(batches, 0, i));
  EXPECT_EQ(all, (std::multiset<std::string>{std::string(17, 'a'), std::string(17, 'a'),
                                             "a" + std::string(15, 'b') + "<|endoftext|>"}));
}

TEST(Batches, AppendedDocumentsMoveNoOtherToTheOtherSide) {
  const Scratch scratch;
  JobSpec spec = spec_for(scratch.path() / "d.jsonl");
  spec.val_set_size = 0.1;
  write_file(scratch.path() / "d.jsonl", records(0, 300));
  const std::string before = validation_text(open_batches(spec, scratch));
  write_file(scratch.path() / "d.jsonl", records(0, 400));
  const Batches grown = open_batches(spec, scratch);
  ASSERT_GT(before.size(), 500u);
  EXPECT_TRUE(validation_text(grown).starts_with(before.substr(0, before.size() - kSequence)));
  EXPECT_EQ(grown.documents(), 400);
}

TEST(Batches, ValidationSharesNoDocumentWithTraining) {
  const Scratch scratch;
  write_file(scratch.path() / "d.jsonl", records(100, 400) + records(100, 400));  // with copies
  JobSpec spec = spec_for(scratch.path() / "d.jsonl");
  spec.val_set_size = 40;  // documents
  const Batches batches = open_batches(spec, scratch);
  std::string train;
  for (int64_t i = 0; i < batches.train_sequences(); ++i) train += sequence(batches, 0, i) + "\n";
  const std::string held_out = validation_text(batches);
  int found = 0;
  for (int i = 100; i < 400; ++i) {
    const std::string name = "document " + std::to_string(i) + "<|end";
    if (held_out.find(name) == held_out.npos) continue;
    ++found;
    EXPECT_EQ(train.find(name), train.npos) << name;
  }
  EXPECT_GE(found, 18);  // 40 documents are 20 pairs of copies
}

TEST(Batches, OneDocumentIsValidatedOnItsTail) {
  const Scratch scratch;
  std::string text(2000, 'a');
  text += std::string(500, 'z');
  write_file(scratch.path() / "t.txt", text);
  JobSpec spec = spec_for(scratch.path() / "t.txt");
  spec.val_set_size = 0.1;
  const Batches batches = open_batches(spec, scratch);
  EXPECT_EQ(batches.validation_sequences(), (250 - 1) / kSequence);
  EXPECT_EQ(validation_text(batches).find('a'), std::string::npos);
}

TEST(Batches, FactsAreThoseOfTheSplitAndAreRemembered) {
  const Scratch scratch;
  write_file(scratch.path() / "t.txt", std::string(300, 'a') + std::string(100, 'b'));
  JobSpec spec = spec_for(scratch.path() / "t.txt");
  spec.val_set_size = 0.25;
  for (int start = 0; start < 2; ++start) {  // counted, then read
    const Batches batches = open_batches(spec, scratch);
    EXPECT_EQ(batches.facts().train_tokens,
              301);  // 400 letters and the end of text, less a quarter
    EXPECT_EQ(batches.facts().validation_tokens, 100);
    const double a = 300.0 / 301, b = 1.0 / 301;
    EXPECT_NEAR(batches.facts().unigram_entropy, -a * std::log(a) - b * std::log(b), 1e-12);
  }
  spec.val_set_size = 0;
  EXPECT_EQ(open_batches(spec, scratch).facts().validation_tokens, 0);
}

TEST(Batches, TooLittleTextIsNamed) {
  const Scratch scratch;
  write_file(scratch.path() / "t.txt", "short");
  const auto batches =
      Batches::open(spec_for(scratch.path() / "t.txt"), scratch.path() / "c", 2, {});
  ASSERT_FALSE(batches.ok());
  EXPECT_EQ(batches.error().code, Code::failed_precondition);
}

TEST(Batches, TokenizerCanBeLearnedFromTheDataOnce) {
  const Scratch scratch;
  write_file(scratch.path() / "d.jsonl", records(0, 200));
  JobSpec spec = spec_for(scratch.path() / "d.jsonl");
  spec.tokenizer = {TokenizerSpec::Kind::train, "", 290};
  const Batches learned = open_batches(spec, scratch);
  EXPECT_GT(learned.tokenizer().vocab_size(), 270);
  EXPECT_EQ(open_batches(spec, scratch).content_hash(), learned.content_hash());
  EXPECT_NE(sequence(learned, 0, 0).find("document"), std::string::npos);
}

}  // namespace
}  // namespace llmctl

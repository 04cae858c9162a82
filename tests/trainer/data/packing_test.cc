// Packed sequences: whole documents, their rows, labels and masks; and mixtures by weight.
#include <algorithm>
#include <map>
#include <set>

#include "tests/trainer/data/open_batches.h"
#include "trainer/data/batches.h"
#include "trainer/data/mixture.h"

namespace llmctl {
namespace {

constexpr int64_t kLength = 24;

struct Row {
  std::vector<int32_t> ids = std::vector<int32_t>(kLength);
  std::vector<int32_t> labels = std::vector<int32_t>(kLength);
  std::vector<int32_t> documents;
};

JobSpec packed(const std::string& file) {
  JobSpec spec;
  spec.datasets = {{file}};
  spec.sequence_len = kLength;
  spec.sample_packing = true;
  return spec;
}

Row row_of(const Batches& batches, int64_t epoch, int64_t index) {
  Row row;
  EXPECT_TRUE(batches.fill(epoch, index, {row.ids, row.labels, row.documents}).ok());
  return row;
}

// The documents of a row, each from its first input to its last label.
std::vector<std::string> texts_of(const Row& row) {
  std::vector<std::string> texts;
  for (size_t d = 0; d < row.documents.size(); ++d) {
    const auto begin = static_cast<size_t>(row.documents[d]);
    const bool last = d + 1 == row.documents.size();
    const auto end =
        last ? static_cast<size_t>(kLength) : static_cast<size_t>(row.documents[d + 1]);
    std::vector<int32_t> ids = {row.ids[begin]};
    for (size_t i = begin; i < end && row.labels[i] >= 0; ++i) ids.push_back(row.labels[i]);
    if (ids.size() > 1) texts.push_back(Tokenizer::bytes().decode(ids));
  }
  return texts;
}

std::string records(int count) {
  std::string jsonl;
  for (int i = 0; i < count; ++i) {
    jsonl += "{\"text\":\"" + std::string(static_cast<size_t>(1 + i % 19), 'a') + "." +
             std::to_string(i) + "\"}\n";
  }
  return jsonl;
}

TEST(Packing, EveryDocumentIsWholeOnceAndAlone) {
  const Scratch scratch;
  write_file(scratch.path() / "d.jsonl", records(150));
  const Batches batches = open_batches(packed(scratch.path() / "d.jsonl"), scratch);
  std::multiset<std::string> seen;
  int64_t learned = 0;
  for (int64_t i = 0; i < batches.train_sequences(); ++i) {
    const Row row = row_of(batches, 0, i);
    ASSERT_EQ(row.documents.front(), 0);
    ASSERT_TRUE(std::is_sorted(row.documents.begin(), row.documents.end()));
    for (const std::string& text : texts_of(row)) seen.insert(text);
    const auto own =
        std::count_if(row.labels.begin(), row.labels.end(), [](int l) { return l >= 0; });
    EXPECT_EQ(own, batches.learned_rows(0, i));
    learned += own;
  }
  ASSERT_EQ(seen.size(), 150u);
  EXPECT_EQ(*seen.begin(), "a.0<|endoftext|>");
  const double rows = static_cast<double>(batches.train_sequences() * kLength);
  EXPECT_GT(static_cast<double>(learned) / rows, 0.9) << "first fit leaves little padding";
}

TEST(Packing, IsTheSameForEqualSeedsAndAnotherForOthers) {
  const Scratch scratch;
  write_file(scratch.path() / "d.jsonl", records(80));
  JobSpec spec = packed(scratch.path() / "d.jsonl");
  const Batches first = open_batches(spec, scratch), again = open_batches(spec, scratch);
  EXPECT_EQ(row_of(first, 2, 5).ids, row_of(again, 2, 5).ids);
  spec.seed = 7;
  EXPECT_NE(row_of(first, 2, 5).ids, row_of(open_batches(spec, scratch), 2, 5).ids);
}

TEST(Packing, ALongTextIsCutSoThatEveryTokenIsLearnedOnce) {
  const Scratch scratch;
  std::string text;
  for (int i = 0; i < 30; ++i) text += std::to_string(1000 + i);
  write_file(scratch.path() / "t.txt", text);
  const Batches batches = open_batches(packed(scratch.path() / "t.txt"), scratch);
  std::vector<std::string> pieces;
  for (int64_t i = 0; i < batches.train_sequences(); ++i) {
    for (const std::string& piece : texts_of(row_of(batches, 0, i))) pieces.push_back(piece);
  }
  ASSERT_EQ(pieces.size(), 5u);  // 121 tokens, 120 labels
  std::sort(pieces.begin(), pieces.end(), [&](const auto& a, const auto& b) {
    return text.find(a.substr(0, 9)) < text.find(b.substr(0, 9));
  });
  std::string joined = pieces[0];
  for (size_t i = 1; i < pieces.size(); ++i) {
    EXPECT_EQ(pieces[i - 1].back(), pieces[i].front());
    joined += pieces[i].substr(1);
  }
  EXPECT_EQ(joined, text + "<|endoftext|>");
  EXPECT_EQ(batches.facts().truncated_documents, 0);
}

TEST(Packing, ALongAnswerLosesItsEndAndAHopelessOneIsDroppedAndCounted) {
  const Scratch scratch;
  const auto record = [](size_t prompt, size_t completion) {
    return "{\"prompt\":\"" + std::string(prompt, 'p') + "\",\"completion\":\"" +
           std::string(completion, 'c') + "\"}\n";
  };
  write_file(scratch.path() / "d.jsonl", record(5, 5) + record(10, 60) + record(60, 5));
  JobSpec spec = packed(scratch.path() / "d.jsonl");
  spec.method = "sft";
  const Batches batches = open_batches(spec, scratch);
  EXPECT_EQ(batches.documents(), 3);
  EXPECT_EQ(batches.facts().truncated_documents, 2);
  EXPECT_EQ(batches.facts().dropped_documents, 1);
  ASSERT_EQ(batches.train_sequences(), 2);
  std::multiset<int64_t> learned = {batches.learned_rows(0, 0), batches.learned_rows(0, 1)};
  EXPECT_EQ(learned, (std::multiset<int64_t>{6, kLength - 9}));  // 5 and the end; of 24 rows
}

TEST(Packing, WithoutItEachChatHasASequenceOfItsOwn) {
  const Scratch scratch;
  std::string jsonl;
  for (int i = 0; i < 9; ++i) jsonl += "{\"prompt\":\"q\",\"completion\":\"a\"}\n";
  write_file(scratch.path() / "d.jsonl", jsonl);
  JobSpec spec = packed(scratch.path() / "d.jsonl");
  spec.method = "sft";
  spec.sample_packing = false;
  const Batches batches = open_batches(spec, scratch);
  EXPECT_EQ(batches.train_sequences(), 9);
  const Row row = row_of(batches, 0, 3);
  EXPECT_EQ(row.documents, (std::vector<int32_t>{0, 2}));  // the chat, the padding
  EXPECT_EQ(std::vector<int32_t>(row.labels.begin(), row.labels.begin() + 3),
            (std::vector<int32_t>{'a', 256, kMasked}));
}

TEST(Packing, ValidationHoldsWholeDocumentsThatTrainingLacks) {
  const Scratch scratch;
  write_file(scratch.path() / "d.jsonl", records(12));
  JobSpec spec = packed(scratch.path() / "d.jsonl");
  spec.val_set_size = 0.2;
  const Batches batches = open_batches(spec, scratch);
  std::set<std::string> train, held_out;
  for (int64_t i = 0; i < batches.train_sequences(); ++i) {
    for (const auto& text : texts_of(row_of(batches, 0, i))) train.insert(text);
  }
  for (int64_t i = 0; i < batches.validation_sequences(); ++i) {
    Row row;
    ASSERT_TRUE(batches.fill_validation(i, {row.ids, row.labels, row.documents}).ok());
    for (const auto& text : texts_of(row)) held_out.insert(text);
  }
  EXPECT_EQ(held_out.size(), 3u);
  EXPECT_EQ(train.size(), 9u);
  for (const auto& text : held_out) EXPECT_FALSE(train.contains(text)) << text;
}

TEST(Mixture, GivesEachDatasetItsShareOfEveryEpoch) {
  const Mixture mixture({100, 20}, {1, 3}, 42);
  ASSERT_EQ(mixture.per_epoch(), 120);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::map<size_t, int64_t> counts, early;
    for (int64_t i = 0; i < 120; ++i) {
      const auto draw = mixture.draw(epoch, i);
      ++counts[draw.dataset];
      if (i < 60) ++early[draw.dataset];
    }
    EXPECT_EQ(counts[0], 30);
    EXPECT_EQ(counts[1], 90);
    EXPECT_NEAR(static_cast<double>(early[0]), 15, 8) << "spread over the epoch";
  }
}

TEST(Mixture, GoesThroughEachDatasetBeforeItRepeats) {
  const Mixture mixture({100, 20}, {1, 3}, 42);
  std::vector<int> seen(100);
  for (int64_t epoch = 0; epoch < 10; ++epoch) {  // 300 draws of the first: three rounds
    for (int64_t i = 0; i < 120; ++i) {
      const auto draw = mixture.draw(epoch, i);
      if (draw.dataset == 0) ++seen[static_cast<size_t>(draw.sequence)];
    }
  }
  EXPECT_EQ(std::set<int>(seen.begin(), seen.end()), std::set<int>{3});
}

TEST(Mixture, OfFilesFollowsTheWeights) {
  const Scratch scratch;
  write_file(scratch.path() / "a.txt", std::string(2400, 'a'));
  write_file(scratch.path() / "b.txt", std::string(4800, 'b'));
  JobSpec spec;
  spec.sequence_len = kLength;
  spec.datasets = {{scratch.path() / "a.txt"}, {scratch.path() / "b.txt"}};
  spec.datasets[0].weight = 3;
  spec.datasets[1].weight = 1;
  const Batches batches = open_batches(spec, scratch);
  int64_t a = 0;
  for (int64_t i = 0; i < batches.train_sequences(); ++i) {
    a += row_of(batches, 4, i).ids.front() == 'a';
  }
  EXPECT_EQ(a, (batches.train_sequences() * 3 + 3) / 4);
  JobSpec other = spec;
  other.datasets[1].weight = 2;
  EXPECT_NE(open_batches(other, scratch).content_hash(), batches.content_hash());
  int caches = 0;  // of the two files, whatever the weights
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path() / "cache")) {
    caches += entry.path().extension() == ".bin";
  }
  EXPECT_EQ(caches, 2);
}

}  // namespace
}  // namespace llmctl

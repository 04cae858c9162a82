#include "trainer/data/sources/dataset.h"

#include <zstd.h>

#include "tests/trainer/scratch.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> documents_of(const SourceFile& source) {
  std::vector<std::string> documents;
  const auto walked = for_each_document(source, [&](std::string_view text) {
    documents.emplace_back(text);
    return ok_status();
  });
  EXPECT_TRUE(walked.ok()) << walked.error().message;
  return documents;
}

std::vector<std::string> names_of(const std::string& path) {
  const auto sources = list_sources({{path, "auto", "text"}});
  EXPECT_TRUE(sources.ok()) << sources.error().message;
  std::vector<std::string> names;
  if (!sources.ok()) return names;
  for (const auto& source : *sources) {
    names.push_back(source.path.filename().string() + (source.jsonl ? " jsonl" : ""));
  }
  return names;
}

TEST(Dataset, DirectoryGivesItsTextFilesSorted) {
  const Scratch scratch;
  write_file(scratch.path() / "b.txt", "b");
  write_file(scratch.path() / "a/z.md", "z");
  write_file(scratch.path() / "a/records.jsonl", "{}");
  write_file(scratch.path() / "binary", std::string("x\0y", 3));
  write_file(scratch.path() / "latin1", "caf\xE9 ");
  write_file(scratch.path() / "empty", "");
  write_file(scratch.path() / ".hidden", "h");
  write_file(scratch.path() / ".git/config", "g");
  write_file(scratch.path() / "build/out.txt", "o");
  fs::create_symlink(scratch.path(), scratch.path() / "loop");
  EXPECT_EQ(names_of(scratch.path()),
            (std::vector<std::string>{"records.jsonl jsonl", "z.md", "b.txt"}));
}

TEST(Dataset, GlobGivesItsMatchesSorted) {
  const Scratch scratch;
  for (const char* name : {"2.txt", "1.txt", "3.md", "x[1].txt"}) {
    write_file(scratch.path() / name, "t");
  }
  EXPECT_EQ(names_of(scratch.path() / "?.txt"), (std::vector<std::string>{"1.txt", "2.txt"}));
  EXPECT_EQ(names_of(scratch.path() / "x[1].txt"), std::vector<std::string>{"x[1].txt"});
}

TEST(Dataset, TwoStarsGoDownAnyNumberOfFolders) {
  const Scratch scratch;
  for (const char* name :
       {"1.txt", "a/2.txt", "a/b/3.txt", "a/b/4.md", ".git/5.txt", "c/b/6.txt"}) {
    write_file(scratch.path() / name, "t");
  }
  EXPECT_EQ(names_of(scratch.path() / "**/*.txt"),
            (std::vector<std::string>{"1.txt", "2.txt", "3.txt", "6.txt"}));
  EXPECT_EQ(names_of(scratch.path() / "a/**"),
            (std::vector<std::string>{"2.txt", "3.txt", "4.md"}));
  EXPECT_EQ(names_of(scratch.path() / "**/b/*.txt"), (std::vector<std::string>{"3.txt", "6.txt"}));
}

std::string compressed(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

TEST(Dataset, CompressedFilesHoldWhatTheyHeld) {
  const Scratch scratch;
  std::string jsonl, text;
  std::vector<std::string> expected;
  for (int i = 0; i < 100'000; ++i) {  // several steps of the decompressor
    expected.push_back("document " + std::to_string(i));
    jsonl += "{\"text\":\"" + expected.back() + "\"}\n";
    text += expected.back();
  }
  write_file(scratch.path() / "d.jsonl.zst", compressed(jsonl));
  write_file(scratch.path() / "t.txt.zst", compressed(text) + compressed("second frame"));
  EXPECT_EQ(names_of(scratch.path()), (std::vector<std::string>{"d.jsonl.zst jsonl", "t.txt.zst"}));
  EXPECT_EQ(documents_of({scratch.path() / "d.jsonl.zst", true, "text"}), expected);
  EXPECT_EQ(documents_of({scratch.path() / "t.txt.zst", false, ""}),
            std::vector<std::string>{text + "second frame"});
}

TEST(Dataset, HostileCompressedFilesAreRefused) {
  const Scratch scratch;
  std::string long_line;
  long_line.resize(200'000'000, 'a');
  const std::string good = compressed(long_line);  // 10,000 times smaller
  const std::string plain = compressed("some text of a document");
  for (const std::string& bytes : {good, plain.substr(0, plain.size() - 3), std::string("text")}) {
    write_file(scratch.path() / "x.txt.zst", bytes);
    const auto read = for_each_document({scratch.path() / "x.txt.zst", false, ""},
                                        [](std::string_view) { return ok_status(); });
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, Code::invalid_argument);
    EXPECT_NE(read.error().message.find("x.txt.zst"), std::string::npos);
  }
  write_file(scratch.path() / "x.jsonl.zst", compressed("{\"text\":\"a\"}\n{\"text\":3}\n"));
  const auto read = for_each_document({scratch.path() / "x.jsonl.zst", true, "text"},
                                      [](std::string_view) { return ok_status(); });
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.error().message.find("x.jsonl.zst:2: "), std::string::npos);
}

TEST(Dataset, NamesWhatIsNotThere) {
  const Scratch scratch;
  for (const std::string path : {"absent.txt", "*.nothing"}) {
    const auto sources = list_sources({{scratch.path() / path, "auto", "text"}});
    ASSERT_FALSE(sources.ok());
    EXPECT_EQ(sources.error().code, Code::invalid_argument);
    EXPECT_NE(sources.error().message.find(path), std::string::npos);
  }
  EXPECT_FALSE(list_sources({{scratch.path(), "auto", "text"}}).ok());  // empty directory
}

TEST(Dataset, JsonlGivesTheChosenField) {
  const Scratch scratch;
  write_file(scratch.path() / "d.jsonl",
             "\xEF\xBB\xBF{\"q\":\"one\",\"text\":\"x\"}\r\n\n{\"q\":\"\"}\n{\"q\":\"tw\\u00f6\"}");
  EXPECT_EQ(documents_of({scratch.path() / "d.jsonl", true, "q"}),
            (std::vector<std::string>{"one", "tw\u00f6"}));
}

TEST(Dataset, BadRecordIsNamedByFileAndLine) {
  const auto refusal = [](std::string_view line) {
    const std::string jsonl = "{\"text\":\"fine\"}\n\n" + std::string(line) + "\n";
    const auto walked = for_each_line_document(jsonl, "d.jsonl", "text",
                                               [](std::string_view) { return ok_status(); });
    return walked.ok() ? "accepted" : walked.error().message;
  };
  EXPECT_EQ(refusal("{\"text\":5}"), "d.jsonl:3: \"text\" is not a string");
  EXPECT_EQ(refusal("[]"), "d.jsonl:3: not a JSON object");
  EXPECT_EQ(refusal("{\"body\":\"\",\"id\":1}"), "d.jsonl:3: no field \"text\"; it has body, id");
  EXPECT_EQ(refusal("{\"text\":\"cut").find("d.jsonl:3: not valid JSON: "), 0u);
  EXPECT_EQ(refusal("{\"text\":\"a\"} {}").find("d.jsonl:3: not valid JSON: "), 0u);
  EXPECT_EQ(refusal("{\"text\":\"\xFF\"}").find("d.jsonl:3: not valid JSON: "), 0u);
  EXPECT_EQ(refusal(std::string(100, '[')).find("d.jsonl:3: not valid JSON: "), 0u);
}

TEST(Dataset, TextFileIsOneDocumentAndABinaryOneIsRefused) {
  const Scratch scratch;
  write_file(scratch.path() / "t.txt", "\xEF\xBB\xBFone\ntwo\n");
  EXPECT_EQ(documents_of({scratch.path() / "t.txt", false, ""}),
            std::vector<std::string>{"one\ntwo\n"});
  write_file(scratch.path() / "x.bin", std::string("a\0b", 3));
  EXPECT_FALSE(for_each_document({scratch.path() / "x.bin", false, ""}, [](std::string_view) {
                 return ok_status();
               }).ok());
}

}  // namespace
}  // namespace llmctl

// Style as a test, over the files git tracks: who may include whom, words that belong to few files,
// sizes, headers, CMake lists, links, dependencies. The tables are the rules; a failure says file,
// line and what to use instead.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace llmctl::tidy {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string_view>;  // a file, or a prefix of files

// ---- Rules

// Dependencies point one way: the rule of the longest prefix counts. tests/ and bench/ may use
// every folder.
const std::map<std::string_view, Paths> kMayInclude = {
    {"core", {"core"}},
    {"metrics", {"core", "metrics"}},
    {"proto", {"core", "proto"}},
    {"scheduler", {"core", "proto", "metrics", "scheduler"}},
    {"scheduler/heart", {"core", "scheduler"}},
    {"worker", {"core", "proto", "metrics", "worker"}},
    {"worker/agent", {"core", "worker"}},
    {"trainer", {"core", "trainer"}},
    {"cli", {"core", "proto", "cli"}},
    {"cli/screen", {"core", "cli"}},
    {"cli/shell", {"core", "cli"}},
};

// A program's folder is a house of rooms. A file may include its own room and those listed before
// it; what lies beside the rooms (main.cc, options) may include all of them, and nobody includes
// it. The order of `tests/PROGRAM/` is nobody's business.
const std::map<std::string_view, Paths> kRooms = {
    {"core", {"base", "fields", "model", "training", "job", "plan", "run"}},
    {"scheduler", {"heart", "store", "metrics", "loop", "fleet", "api"}},
    {"worker", {"files", "contract", "agent", "spawn", "runs", "devices", "link", "metrics"}},
    {"cli", {"jobfile", "shell", "screen", "ask", "cluster", "verbs", "app"}},
    {"trainer",
     {"files",
      "template",
      "tokenizer/pieces",
      "tokenizer/bpe",
      "tokenizer",
      "data/chat",
      "data/sources",
      "data/cache",
      "data",
      "layout",
      "formats/safetensors",
      "formats/hf",
      "formats/gguf",
      "checkpoint",
      "stored",
      "device",
      "ops/operands",
      "ops/reference",
      "ops/cpu",
      "ops/cuda",
      "ops",
      "model",
      "optim/updates",
      "optim",
      "inference",
      "run/reports",
      "run/saving",
      "run",
      "commands"}},
};

// A library is known to few files, so that it can be replaced.
struct Home {
  std::string_view headers;  // regex, matched against the included name
  Paths where;
  std::string_view instead;
};
// Who calls or serves gRPC; and who knows its messages only, as the store does.
const Paths kGrpcEdges = {"proto/",         "scheduler/fleet/", "scheduler/api/", "worker/link/",
                          "cli/ask/client", "tests/",           "bench/"};
const Paths kWireEdges = {"proto/",       "scheduler/store/", "scheduler/fleet/", "scheduler/api/",
                          "worker/link/", "cli/ask/client",   "tests/",           "bench/"};
const Paths kTorchRooms = {
    "trainer/device/",    "trainer/ops/", "trainer/model/",    "trainer/optim/",
    "trainer/inference/", "trainer/run/", "trainer/commands/", "trainer/main.cc",
    "tests/trainer/",     "bench/"};
const std::vector<Home> kHomes = {
    {"(torch|ATen|c10)/.*", kTorchRooms, "plain values, or a room with torch"},
    {R"((grpc|grpcpp)/.*|llmctl/v1/.*\.grpc\.pb\.h)", kGrpcEdges,
     "core types, through proto/convert"},
    {R"((google/protobuf|llmctl/v1)/.*)", kWireEdges, "core types, through proto/convert"},
    {"(restinio|asio).*", {"metrics/exposition.cc"}, "metrics/exposition.h"},
    {"sqlite3.h", {"scheduler/store/", "tests/", "bench/"}, "scheduler/store/store.h"},
    {"yaml-cpp/.*", {"cli/jobfile/"}, "core's Node"},
    {"prometheus/.*",
     {"metrics/", "tests/metrics/", "tests/sim/", "scheduler/main.cc", "worker/main.cc"},
     "metrics/families.h"},
    {"g(test|mock)/.*", {"tests/"}, "a test"},
};

struct Banned {
  std::string_view word;  // regex
  Paths allowed;
  std::string_view instead;
};
const std::vector<Banned> kBanned = {
    {R"(\bsystem_clock\b)",
     {"core/base/clock.cc", "cli/ask/client.cc", "tests/"},
     "the Clock seam"},
    {R"(\bsleep_for\b|\busleep\()",
     {"tests/", "bench/", "cli/cluster/process.cc", "trainer/run/saving/lease.cc"},
     "a condition or poll() to wait on"},
    {R"(\bstd::thread\b(?!::))", {"tests/", "bench/"}, "std::jthread in a file of the list"},
    {R"(\bstd::jthread\b)",
     {"tests/", "bench/", "metrics/exposition.cc", "scheduler/api/server.cc",
      "scheduler/api/listener", "scheduler/loop/work_thread", "scheduler/main.cc", "worker/",
      "trainer/", "cli/"},
     "the threads docs/ARCHITECTURE.md lists"},
    {R"(\.detach\(\))", {}, "a joined thread"},
    {R"(\b(s?rand|random_device)\b\(?)", {"worker/main.cc", "cli/", "tests/"}, "a seed of the job"},
    {R"(\bgetenv\()",
     {"cli/shell/environment.cc", "proto/endpoint.cc", "trainer/", "tests/", "bench/"},
     "a flag or a field"},
    {R"(\bstd::cout\b)",
     {"cli/", "trainer/main.cc", "scheduler/main.cc", "worker/main.cc", "tests/", "bench/"},
     "the log or a report line"},
    {R"(\bstd::endl\b)", {"tests/"}, R"('\n')"},
    {R"(\busing namespace std;)", {}, "qualified names"},
};
// In comments too.
const std::vector<Banned> kBannedText = {
    {R"(\b(TODO|FIXME|XXX|HACK)\b)", {}, "doing it, or an issue"},
    {R"(#include <bits/)", {}, "the standard header"},
};

// Names of the standard library and the header that declares them. With libstdc++ 12 most of these
// came along with others; with 14 (Debian 13) they do not, and a file that trusts to it breaks.
const std::map<std::string_view, Paths> kStandard = {
    {"algorithm",
     {"all_of",      "any_of",      "binary_search", "clamp",       "copy_n",      "count",
      "count_if",    "equal_range", "fill",          "fill_n",      "find",        "find_if",
      "find_if_not", "for_each",    "is_sorted",     "lower_bound", "max",         "max_element",
      "min",         "min_element", "mismatch",      "none_of",     "nth_element", "partition",
      "remove_if",   "replace",     "reverse",       "sort",        "stable_sort", "transform",
      "unique",      "upper_bound"}},
    {"charconv", {"from_chars", "to_chars"}},
    {"cmath",
     {"ceil", "exp", "fabs", "floor", "isfinite", "isinf", "isnan", "llround", "log", "lround",
      "pow", "round", "sqrt"}},
    {"cstring", {"memchr", "memcmp", "memcpy", "memmove", "memset", "strerror", "strlen"}},
    {"iterator", {"back_inserter", "istreambuf_iterator", "make_move_iterator"}},
    {"numeric", {"accumulate", "gcd", "iota", "lcm"}},
};

constexpr size_t kLineColumns = 100;
constexpr size_t kFileLines = 600;
constexpr size_t kTestLines = 800;
constexpr size_t kMedianLines = 120;

// ---- The judge: pure functions from text to problems

struct File {
  std::string path, text;
};
using Problems = std::vector<std::string>;

bool is_under(std::string_view path, const Paths& places) {
  return std::any_of(places.begin(), places.end(),
                     [&](std::string_view place) { return path.starts_with(place); });
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string at(const File& file, size_t line) {
  return file.path + ":" + std::to_string(line + 1) + ": ";
}

// Without string literals and comments, so that a word in prose is no use of it.
std::string code_of(const std::string& line) {
  static const std::regex strings(R"("([^"\\]|\\.)*")");
  const std::string code = std::regex_replace(line, strings, "\"\"");
  return code.substr(0, code.find("//"));
}

// The place of a file's room in the list; one past the last for what lies beside the rooms.
size_t room_of(std::string_view path, const Paths& rooms) {
  const std::string_view inside = path.substr(path.find('/') + 1);
  return static_cast<size_t>(std::find_if(rooms.begin(), rooms.end(),
                                          [&](std::string_view name) {
                                            return inside.starts_with(name) &&
                                                   inside.substr(name.size()).starts_with('/');
                                          }) -
                             rooms.begin());
}

// What is wrong with `file` including `name`, both of one program's folder.
std::string room_problem(std::string_view file, std::string_view name) {
  const std::string_view program = file.substr(0, file.find('/'));
  const auto rooms = kRooms.find(program);
  if (rooms == kRooms.end() || !name.starts_with(std::string(program) + "/")) return "";
  const size_t from = room_of(file, rooms->second), to = room_of(name, rooms->second);
  if (to <= from) return "";
  return std::string(file.substr(0, file.rfind('/'))) + "/ must not include " + std::string(name) +
         ", whose room comes later; move what both need down";
}

// The folders that a file may include, by the longest prefix that has a rule; nullptr: all.
const Paths* allowed_for(std::string_view path) {
  const Paths* allowed = nullptr;
  for (const auto& [folder, may] : kMayInclude) {  // in order, so a longer prefix comes later
    if (path.starts_with(std::string(folder) + "/")) allowed = &may;
  }
  return allowed;
}

Problems check_includes(const File& file) {
  static const std::regex include(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  Problems problems;
  const auto lines = lines_of(file.text);
  const std::string folder = file.path.substr(0, file.path.find('/'));
  const Paths* allowed = allowed_for(file.path);
  for (size_t i = 0; i < lines.size(); ++i) {
    std::smatch match;
    if (!std::regex_search(lines[i], match, include)) continue;
    const std::string name = match[2];
    const std::string from = name.substr(0, name.find('/'));
    const bool ours = match[1] == "\"" && name.find('/') != std::string::npos && from != "llmctl";
    if (ours && allowed != nullptr &&
        std::find(allowed->begin(), allowed->end(), from) == allowed->end()) {
      problems.push_back(at(file, i) + folder + "/ must not include " + name +
                         "; move what both need into core/");
    }
    const std::string upward = room_problem(file.path, name);
    if (ours && !upward.empty()) problems.push_back(at(file, i) + upward);
    for (const Home& home : kHomes) {
      if (std::regex_match(name, std::regex(std::string(home.headers))) &&
          !is_under(file.path, home.where)) {
        problems.push_back(at(file, i) + name + " is not for this file; use " +
                           std::string(home.instead));
      }
    }
  }
  return problems;
}

// A file includes what declares the standard names that it calls, itself or in its own header.
Problems check_standard(const File& file, const std::string& own_header) {
  Problems problems;
  for (const auto& [header, names] : kStandard) {
    const std::string include = "#include <" + std::string(header) + ">";
    if ((file.text + own_header).find(include) != std::string::npos) continue;
    const auto used = std::find_if(names.begin(), names.end(), [&](std::string_view name) {
      const std::string call = "std::" + std::string(name);
      return file.text.find(call + "(") != std::string::npos ||
             file.text.find(call + "<") != std::string::npos;
    });
    if (used == names.end()) continue;
    problems.push_back(at(file, 0) + "std::" + std::string(*used) + " wants " + include);
  }
  return problems;
}

// Whether any banned word stands anywhere in a text; most files have none, and are done with then.
bool has_banned_word(const std::string& text) {
  static const std::regex any = [] {
    std::string words;
    for (const auto* list : {&kBanned, &kBannedText}) {
      for (const Banned& b : *list) words += (words.empty() ? "" : "|") + std::string(b.word);
    }
    return std::regex(words, std::regex::optimize);
  }();
  return std::regex_search(text, any);
}

Problems check_words(const File& file) {
  if (!has_banned_word(file.text)) return {};
  struct Rule {
    const Banned* banned;
    std::regex regex;
    bool comments_too;
  };
  static const std::vector<Rule> rules = [] {
    std::vector<Rule> all;
    for (const Banned& b : kBanned) all.push_back({&b, std::regex(std::string(b.word)), false});
    for (const Banned& b : kBannedText) all.push_back({&b, std::regex(std::string(b.word)), true});
    return all;
  }();
  Problems problems;
  const auto lines = lines_of(file.text);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string code = code_of(lines[i]);
    for (const Rule& rule : rules) {
      if (is_under(file.path, rule.banned->allowed)) continue;
      std::smatch match;
      if (!std::regex_search(rule.comments_too ? lines[i] : code, match, rule.regex)) continue;
      problems.push_back(at(file, i) + match[0].str() + " is not for this file; use " +
                         std::string(rule.banned->instead));
    }
  }
  return problems;
}

size_t columns_of(const std::string& line) {  // code points, not bytes
  return static_cast<size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

Problems check_size(const File& file) {
  Problems problems;
  const auto lines = lines_of(file.text);
  bool in_raw_string = false;  // text of a page or a help; it is wrapped where it is shown
  for (size_t i = 0; i < lines.size(); ++i) {
    in_raw_string |= lines[i].find("R\"(") != std::string::npos;
    if (columns_of(lines[i]) > kLineColumns && !in_raw_string) {
      problems.push_back(at(file, i) + "longer than 100 columns; wrap it");
    }
    if (lines[i].find(")\"") != std::string::npos) in_raw_string = false;
  }
  const size_t limit = file.path.starts_with("tests/") ? kTestLines : kFileLines;
  if (lines.size() > limit) {
    problems.push_back(at(file, limit) + "longer than " + std::to_string(limit) +
                       " lines; split by duty");
  }
  return problems;
}

Problems check_header(const File& file) {
  Problems problems;
  if (!file.text.starts_with("//")) {
    problems.push_back(at(file, 0) +
                       "no opening comment; say what it is, who owns it, its threads");
  }
  if (file.text.find("\n#pragma once\n") == std::string::npos) {
    problems.push_back(at(file, 0) + "no #pragma once");
  }
  return problems;
}

// Whether a CMakeLists.txt names a source, whose path is relative to its folder. A path may be
// spelled with a foreach variable: ${suite}_test.cc.
bool is_listed(const std::string& path, const std::string& list) {
  static const std::regex source(R"([^\s()\"]+\.cc)");
  for (std::sregex_iterator it(list.begin(), list.end(), source), end; it != end; ++it) {
    const std::string token = (*it)[0].str();
    if (token == path) return true;
    const size_t open = token.find("${"), close = token.find('}');
    if (open == std::string::npos || close == std::string::npos) continue;
    const std::string head = token.substr(0, open), tail = token.substr(close + 1);
    if (!path.starts_with(head) || !path.ends_with(tail)) continue;
    if (path.size() <= head.size() + tail.size()) continue;
    const std::string value = path.substr(head.size(), path.size() - head.size() - tail.size());
    if (std::regex_search(list, std::regex("[ (\n]" + value + "[ )\n]"))) return true;
  }
  return false;
}

Problems check_links(const File& page, const fs::path& root) {
  static const std::regex link(R"(\]\(([^)\s#]+)(#[^)]*)?\))");
  Problems problems;
  const auto lines = lines_of(page.text);
  for (size_t i = 0; i < lines.size(); ++i) {
    for (std::sregex_iterator it(lines[i].begin(), lines[i].end(), link), end; it != end; ++it) {
      const std::string target = (*it)[1];
      if (target.find("://") != std::string::npos || target.starts_with("mailto:")) continue;
      if (fs::exists(root / fs::path(page.path).parent_path() / target)) continue;
      problems.push_back(at(page, i) + "link to " + target + ", which is not there");
    }
  }
  return problems;
}

// The packages a CMake file asks for: names of find_package, modules of pkg_check_modules.
std::set<std::string> packages_in(const std::string& cmake) {
  static const std::regex find(R"(find_package\((\S+?)[\s)])");
  static const std::regex pkg(R"(pkg_check_modules\(\S+([^)]*)\))");
  std::set<std::string> names;
  for (std::sregex_iterator it(cmake.begin(), cmake.end(), find), end; it != end; ++it) {
    names.insert((*it)[1]);
  }
  for (std::sregex_iterator it(cmake.begin(), cmake.end(), pkg), end; it != end; ++it) {
    std::istringstream words((*it)[1]);
    for (std::string word; words >> word;) {
      if (word != "REQUIRED" && word != "IMPORTED_TARGET") names.insert(word);
    }
  }
  return names;
}

// The words of the bash array `name=( … )`.
std::set<std::string> words_of_array(const std::string& script, const std::string& name) {
  std::smatch match;
  std::set<std::string> words;
  const std::regex array("(?:^|\n)" + name + R"(=\(([^)]*)\))");
  if (!std::regex_search(script, match, array)) return words;
  std::istringstream in(match[1]);
  for (std::string word; in >> word;) words.insert(word);
  return words;
}

// ---- The files of this repository

const fs::path kRoot = LLMCTL_SOURCE_DIR;

std::string read(const std::string& path) {
  std::ifstream in(kRoot / path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class Repository : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string command = "git -C '" + kRoot.string() + "' ls-files";
    FILE* pipe = ::popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    char line[4'096];
    while (std::fgets(line, sizeof(line), pipe) != nullptr) {
      std::string path(line, std::string_view(line).find('\n'));
      if (fs::exists(kRoot / path)) paths_.push_back(std::move(path));
    }
    if (::pclose(pipe) != 0 || paths_.empty()) GTEST_SKIP() << "not a git checkout";
  }

  std::vector<File> files(const std::set<std::string>& extensions) const {
    std::vector<File> found;
    for (const std::string& path : paths_) {
      if (extensions.contains(fs::path(path).extension())) found.push_back({path, read(path)});
    }
    return found;
  }

  static void expect_none(const Problems& problems) {
    for (const std::string& problem : problems) ADD_FAILURE() << problem;
  }

  std::vector<std::string> paths_;
};

TEST_F(Repository, IncludesPointOneWay) {
  for (const File& file : files({".cc", ".h"})) expect_none(check_includes(file));
}

TEST_F(Repository, StandardHeadersAreIncludedByThoseWhoCall) {
  for (const File& file : files({".cc", ".h"})) {
    expect_none(check_standard(file, read(fs::path(file.path).replace_extension(".h"))));
  }
}

TEST_F(Repository, WordsStayInTheFilesTheyBelongTo) {
  for (const File& file : files({".cc", ".h"})) {
    if (file.path != "tests/tidy_test.cc") expect_none(check_words(file));  // it names them all
  }
}

TEST_F(Repository, FilesFitOnAFewScreens) {
  std::vector<size_t> lines;
  for (const File& file : files({".cc", ".h", ".proto", ".cmake", ".sh", ".ts", ".tsx", ".cu"})) {
    expect_none(check_size(file));
    if (!file.path.starts_with("tests/")) lines.push_back(lines_of(file.text).size());
  }
  ASSERT_FALSE(lines.empty());
  const auto middle = lines.begin() + static_cast<std::ptrdiff_t>(lines.size() / 2);
  std::nth_element(lines.begin(), middle, lines.end());
  EXPECT_LE(*middle, kMedianLines) << "the median file has grown; split the large ones";
}

TEST_F(Repository, HeadersSayWhatTheyAre) {
  for (const File& file : files({".h"})) expect_none(check_header(file));
}

TEST_F(Repository, EverySourceIsBuilt) {
  for (const File& file : files({".cc"})) {
    const fs::path path = file.path;
    bool listed = false;
    for (fs::path folder = path.parent_path(); !listed; folder = folder.parent_path()) {
      listed = is_listed(path.lexically_relative(folder), read(folder / "CMakeLists.txt"));
      if (folder.empty()) break;
    }
    EXPECT_TRUE(listed) << file.path << ":1: in no CMakeLists.txt; list it or delete it";
  }
}

TEST_F(Repository, LinksOfThePagesLead) {
  for (const File& page : files({".md"})) expect_none(check_links(page, kRoot));
}

TEST_F(Repository, EveryDependencyHasItsReason) {
  const std::string page = read("docs/DEPENDENCIES.md");
  std::set<std::string> names = packages_in(read("cmake/dependencies.cmake"));
  ASSERT_GT(names.size(), 5u);
  for (const char* array : {"packages", "test_packages", "tool_packages"}) {
    const auto debian = words_of_array(read("dev"), array);
    EXPECT_FALSE(debian.empty()) << "dev: no array " << array;
    names.insert(debian.begin(), debian.end());
  }
  for (const std::string& name : names) {
    EXPECT_NE(page.find("`" + name + "`"), std::string::npos)
        << "docs/DEPENDENCIES.md:1: does not say why we need " << name;
  }
}

// ---- The judge is judged: each rule finds its bad snippet, and leaves a good one alone.

struct Snippet {
  const char* path;
  const char* text;
  const char* problem;  // part of it; empty: none
};

class Judge : public ::testing::TestWithParam<Snippet> {};

TEST_P(Judge, FindsWhatIsWrongAndOnlyThat) {
  const File file{GetParam().path, GetParam().text};
  Problems problems = check_includes(file);
  for (auto check : {check_words, check_size}) {
    for (std::string& problem : check(file)) problems.push_back(std::move(problem));
  }
  for (std::string& problem : check_standard(file, "")) problems.push_back(std::move(problem));
  if (file.path.ends_with(".h")) {
    for (std::string& problem : check_header(file)) problems.push_back(std::move(problem));
  }
  if (*GetParam().problem == '\0') {
    EXPECT_TRUE(problems.empty()) << problems[0];
  } else {
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_NE(problems[0].find(GetParam().problem), std::string::npos) << problems[0];
  }
}

const std::string kWideText(90, 'x');
const std::string kWideLine = "// " + kWideText + "12345678";
const std::string kUnicodeLine = "// " + kWideText + "ÄÖÜß€→…";
const std::string kLongFile(601, '\n');

INSTANTIATE_TEST_SUITE_P(
    Snippets,
    Judge,
    ::testing::Values(
        Snippet{"core/a.cc", "#include \"scheduler/heart/state.h\"\n",
                "core/a.cc:1: core/ must not"},
        Snippet{"scheduler/a.cc", "\n#include \"worker/agent/agent.h\"\n", "scheduler/a.cc:2:"},
        Snippet{"worker/a.cc", "#include \"scheduler/heart/state.h\"\n",
                "worker/ must not include"},
        Snippet{"trainer/a.cc", "#include \"proto/convert.h\"\n", "trainer/ must not include"},
        Snippet{"scheduler/a.cc", "#include \"core/run/event.h\"\n", ""},
        Snippet{"cli/a.cc", "#include <torch/torch.h>\n", "torch/torch.h is not for this file"},
        Snippet{"trainer/ops/a.cc", "#include <ATen/ATen.h>\n", ""},
        Snippet{"trainer/data/a.cc", "#include <ATen/ATen.h>\n", "a room with torch"},
        Snippet{
            "trainer/tokenizer/a.cc", "#include \"trainer/data/batches.h\"\n",
            "trainer/tokenizer/ must not include trainer/data/batches.h, whose room comes later"},
        Snippet{"trainer/data/a.cc", "#include \"trainer/tokenizer/tokenizer.h\"\n", ""},
        Snippet{"trainer/formats/hf/a.cc", "#include \"trainer/formats/gguf/gguf.h\"\n",
                "whose room comes later"},
        Snippet{"trainer/ops/cpu/a.cc", "#include \"trainer/ops/operators.h\"\n",
                "whose room comes later"},
        Snippet{"trainer/ops/a.cc", "#include \"trainer/ops/cpu/operators.h\"\n", ""},
        Snippet{"worker/link/a.cc", "#include \"worker/loop.h\"\n", "whose room comes later"},
        Snippet{"worker/main.cc", "#include \"worker/link/link.h\"\n", ""},
        Snippet{"scheduler/heart/a.cc", "#include \"proto/convert.h\"\n", "into core/"},
        Snippet{"cli/screen/a.cc", "#include \"cli/ask/client.h\"\n", "whose room comes later"},
        Snippet{"scheduler/heart/decide.cc", "#include <grpcpp/grpcpp.h>\n",
                "through proto/convert"},
        Snippet{"scheduler/heart/queue.cc", "#include \"llmctl/v1/types.pb.h\"\n", "proto/convert"},
        Snippet{"scheduler/store/a.cc", "#include <grpcpp/grpcpp.h>\n", "through proto/convert"},
        Snippet{"scheduler/store/a.cc", "#include \"llmctl/v1/types.pb.h\"\n", ""},
        Snippet{"cli/ask/client.cc", "#include <grpcpp/grpcpp.h>\n", ""},
        Snippet{"scheduler/a.cc", "auto now = std::chrono::system_clock::now();\n", "Clock seam"},
        Snippet{"core/a.cc", "// unlike system_clock, boot time never jumps\n", ""},
        Snippet{"core/a.cc", "log(\"std::cout is closed\");\n", ""},
        Snippet{"core/a.cc", "std::cout << 1;\n", "core/a.cc:1: std::cout is not for this file"},
        Snippet{"cli/a.cc", "std::cout << 1;\n", ""},
        Snippet{"worker/a.cc", "std::this_thread::sleep_for(1s);\n", "wait on"},
        Snippet{"worker/a.cc", "std::thread t(run);\n", "std::jthread in"},
        Snippet{"cli/a.cc", "auto n = std::thread::hardware_concurrency();\n", ""},
        Snippet{"trainer/a.cc", "int x = rand();\n", "a seed of the job"},
        Snippet{"core/a.cc", "int operand(int x);\n", ""},
        Snippet{"scheduler/a.cc", "auto p = getenv(\"HOME\");\n", "a flag or a field"},
        Snippet{"core/a.cc", "// TODO: later\n", "doing it"},
        Snippet{"core/a.cc", kWideLine.c_str(), "longer than 100 columns"},
        Snippet{"core/a.cc", kUnicodeLine.c_str(), ""},
        Snippet{"core/a.cc", kLongFile.c_str(), "core/a.cc:601: longer than 600 lines"},
        Snippet{"tests/a.cc", kLongFile.c_str(), ""},
        Snippet{"core/a.cc", "return std::any_of(a, b, c);\n", "wants #include <algorithm>"},
        Snippet{"core/a.cc", "#include <algorithm>\nreturn std::any_of(a, b, c);\n", ""},
        Snippet{"core/a.h", "// A thing.\n#pragma once\n", ""},
        Snippet{"core/a.h", "\n#pragma once\n", "no opening comment"},
        Snippet{"core/a.h", "// A thing.\n", "no #pragma once"}));

TEST(JudgeOfLists, KnowsPlainNamesAndForeachNames) {
  EXPECT_TRUE(is_listed("clock.cc", "llmctl_library(x SOURCES clock.cc units.cc)"));
  EXPECT_FALSE(is_listed("clock.cc", "llmctl_library(x SOURCES old_clock.cc)"));
  EXPECT_FALSE(is_listed("ops/rotary.cc", "llmctl_library(x SOURCES ops/cpu/rotary.cc)"));
  const std::string loop = "foreach(suite journey chaos)\n  SOURCES ${suite}_test.cc\nendforeach()";
  EXPECT_TRUE(is_listed("chaos_test.cc", loop));
  EXPECT_FALSE(is_listed("other_test.cc", loop));
}

TEST(JudgeOfLinks, FindsTheDeadOne) {
  const File page{"README.md",
                  "[a](core/base/result.h) [b](https://example.org/x)\n[c](core/none.h#part)"};
  const Problems problems = check_links(page, kRoot);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0], "README.md:2: link to core/none.h, which is not there");
}

TEST(JudgeOfPackages, ReadsBothKinds) {
  EXPECT_EQ(packages_in("find_package(GTest REQUIRED)\nfind_package(Threads)\n"
                        "pkg_check_modules(X REQUIRED IMPORTED_TARGET sqlite3)"),
            (std::set<std::string>{"GTest", "Threads", "sqlite3"}));
  EXPECT_EQ(words_of_array("a=(x)\npackages=(\n  one two\n  three\n)\n", "packages"),
            (std::set<std::string>{"one", "two", "three"}));
}

}  // namespace
}  // namespace llmctl::tidy

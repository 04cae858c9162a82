#include "cli/jobfile/job_yaml.h"

#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>

#include "cli/jobfile/yaml_tree.h"

namespace llmctl {

struct Position {
  int line = 1, column = 1;
};

static Position position_of(std::string_view text, size_t offset) {
  Position position;
  for (char c : text.substr(0, offset)) {
    position.column = c == '\n' ? 1 : position.column + 1;
    position.line += c == '\n' ? 1 : 0;
  }
  return position;
}

static YamlDocument refused(Position at, std::string message) {
  YamlDocument document;
  document.diagnostics.push_back({at.line, at.column, "", std::move(message), false});
  return document;
}

// Length of the UTF-8 character at `offset`; 0 when there is none. Overlong forms and surrogates
// are none.
static size_t character_length(std::string_view text, size_t offset) {
  const auto byte = [&](size_t i) {
    return offset + i < text.size() ? static_cast<unsigned char>(text[offset + i]) : 0U;
  };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF && follows(1)) return 2;
  if (first == 0xE0 && second < 0xA0) return 0;
  if (first == 0xED && second > 0x9F) return 0;
  if (first >= 0xE0 && first <= 0xEF && follows(1) && follows(2)) return 3;
  if (first == 0xF0 && second < 0x90) return 0;
  if (first == 0xF4 && second > 0x8F) return 0;
  if (first >= 0xF0 && first <= 0xF4 && follows(1) && follows(2) && follows(3)) return 4;
  return 0;
}

// The offset of the first byte that no job file may hold, or npos.
struct BadByte {
  size_t offset = std::string_view::npos;
  const char* problem = "";
};
static BadByte find_bad_byte(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = character_length(text, i);
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool allowed = byte >= 0x20 || byte == '\t' || byte == '\n' || byte == '\r';
    if (length == 0) return {i, "this is not UTF-8 text"};
    if (!allowed || byte == 0x7f) return {i, "a control character"};
    i += length;
  }
  return {};
}

static std::string_view line_of(std::string_view text, int line) {
  for (int skipped = 0; skipped < line; ++skipped) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return "";
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

// What yaml-cpp says, where other words help a person more.
static std::string in_plain_words(const std::string& message) {
  constexpr std::pair<std::string_view, const char*> kWords[] = {
      {"illegal map value", "a ':' where no field can begin; check the indentation and the quotes"},
      {"end of map not found", "expected a field; check the indentation"},
      {"end of sequence not found", "expected a list entry; check the indentation"},
      {"end of sequence flow not found", "a [ is never closed"},
      {"end of map flow not found", "a { is never closed"},
      {"illegal EOF in scalar", "the file ends inside a quote"},
      {"the referenced anchor is not defined", "this alias names no anchor (&name)"},
  };
  for (const auto& [theirs, ours] : kWords) {
    if (message.starts_with(theirs)) return ours;  // yaml-cpp 0.8 adds the name of an anchor
  }
  return message;
}

static YamlDocument syntax_error(std::string_view text, const YAML::Exception& error) {
  if (error.mark.is_null()) return refused({}, in_plain_words(error.msg));
  const Position at{error.mark.line + 1, error.mark.column + 1};
  const std::string_view line = line_of(text, error.mark.line);
  const std::string_view indent = line.substr(0, line.find_first_not_of(" \t"));
  if (indent.find('\t') != std::string_view::npos) {
    return refused(at, "a tab in the indentation; use spaces");
  }
  return refused(at, in_plain_words(error.msg));
}

// yaml-cpp takes a last newline for the end of an open quote; it sees its error when the text ends
// in the middle of a line.
static std::string ending_in_a_comment(std::string_view text) {
  return std::string(text) + (text.ends_with('\n') ? "#" : "\n#");
}

YamlDocument parse_yaml(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // a byte order mark
  if (text.size() > limits::kJobFileBytes) return refused({}, "larger than 1 MiB");
  const BadByte bad = find_bad_byte(text);
  if (bad.offset != std::string_view::npos) {
    return refused(position_of(text, bad.offset), bad.problem);
  }
  YamlTree tree;
  try {
    std::istringstream input{ending_in_a_comment(text)};
    YAML::Parser parser(input);
    // The second call finds what the tree refuses; a third might find it again for ever.
    if (parser.HandleNextDocument(tree)) parser.HandleNextDocument(tree);
  } catch (const YAML::Exception& error) {
    YamlDocument so_far = tree.take();
    if (!so_far.diagnostics.empty()) return so_far;
    return syntax_error(text, error);
  }
  YamlDocument document = tree.take();
  if (document.root.line == 0) document.root.line = document.root.column = 1;
  return document;
}

}  // namespace llmctl

#include "trainer/tokenizer/pieces/unicode_class.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace llmctl {
namespace {

enum Category : uint8_t {
  Cc,
  Cf,
  Cn,
  Co,
  Cs,
  Ll,
  Lm,
  Lo,
  Lt,
  Lu,
  Mc,
  Me,
  Mn,
  Nd,
  Nl,
  No,  // as UnicodeData.txt
  Pc,
  Pd,
  Pe,
  Pf,
  Pi,
  Po,
  Ps,
  Sc,
  Sk,
  Sm,
  So,
  Zl,
  Zp,
  Zs  // spells them
};

struct CategoryName {
  const char* brief;
  const char* whole;
};
constexpr CategoryName kNames[] = {{"Cc", "Control"},
                                   {"Cf", "Format"},
                                   {"Cn", "Unassigned"},
                                   {"Co", "Private_Use"},
                                   {"Cs", "Surrogate"},
                                   {"Ll", "Lowercase_Letter"},
                                   {"Lm", "Modifier_Letter"},
                                   {"Lo", "Other_Letter"},
                                   {"Lt", "Titlecase_Letter"},
                                   {"Lu", "Uppercase_Letter"},
                                   {"Mc", "Spacing_Mark"},
                                   {"Me", "Enclosing_Mark"},
                                   {"Mn", "Nonspacing_Mark"},
                                   {"Nd", "Decimal_Number"},
                                   {"Nl", "Letter_Number"},
                                   {"No", "Other_Number"},
                                   {"Pc", "Connector_Punctuation"},
                                   {"Pd", "Dash_Punctuation"},
                                   {"Pe", "Close_Punctuation"},
                                   {"Pf", "Final_Punctuation"},
                                   {"Pi", "Initial_Punctuation"},
                                   {"Po", "Other_Punctuation"},
                                   {"Ps", "Open_Punctuation"},
                                   {"Sc", "Currency_Symbol"},
                                   {"Sk", "Modifier_Symbol"},
                                   {"Sm", "Math_Symbol"},
                                   {"So", "Other_Symbol"},
                                   {"Zl", "Line_Separator"},
                                   {"Zp", "Paragraph_Separator"},
                                   {"Zs", "Space_Separator"}};
constexpr CategoryName kGroups[] = {{"C", "Other"},    {"L", "Letter"},      {"M", "Mark"},
                                    {"N", "Number"},   {"P", "Punctuation"}, {"S", "Symbol"},
                                    {"Z", "Separator"}};

struct CategoryBegin {
  uint32_t first;
  Category category;
};
struct ScriptRange {
  const char* script;
  CodeRange range;
};
struct LowerRun {
  uint32_t first, last, step;
  int32_t added;
};
#include "trainer/tokenizer/pieces/unicode_categories.inc"
#include "trainer/tokenizer/pieces/unicode_reference.inc"
#include "trainer/tokenizer/pieces/unicode_scripts.inc"

// White_Space.
constexpr CodeRange kSpaces[] = {
    {0x9, 0xD},       {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
    {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
// Oniguruma's \w has these too, as Latin-1 once had.
constexpr CodeRange kLatin1Words[] = {{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}};
constexpr CodeRange kJoiners[] = {{0x200C, 0x200D}};

using Sets = std::map<std::string, CodeSet, std::less<>>;

std::string plain(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c != ' ' && c != '_' && c != '-') out += static_cast<char>(std::tolower(uint8_t(c)));
  }
  return out;
}

void add_categories(Sets& sets) {
  std::map<std::string, std::vector<CodeRange>> ranges;
  for (size_t i = 0; i < std::size(kCategories); ++i) {
    const bool is_last = i + 1 == std::size(kCategories);
    const CodeRange range = {kCategories[i].first,
                             is_last ? 0x10FFFF : kCategories[i + 1].first - 1};
    ranges[kNames[kCategories[i].category].brief].push_back(range);
  }
  for (const CategoryName& name : kNames) {
    sets[plain(name.brief)] = sets[plain(name.whole)] = CodeSet(ranges[name.brief]);
  }
  for (const CategoryName& group : kGroups) {
    std::vector<CodeRange> all;
    for (const CategoryName& name : kNames) {
      if (name.brief[0] != group.brief[0]) continue;
      all.insert(all.end(), ranges[name.brief].begin(), ranges[name.brief].end());
    }
    sets[plain(group.brief)] = sets[plain(group.whole)] = CodeSet(all);
  }
}

void add_scripts(Sets& sets) {
  std::map<std::string, std::vector<CodeRange>> ranges;
  for (const ScriptRange& one : kScripts) ranges[plain(one.script)].push_back(one.range);
  for (const auto& [name, own] : ranges) sets[name] = CodeSet(own);
}

// What Oniguruma adds to Unicode's names.
void add_posix(Sets& sets) {
  const auto one = [](uint32_t first, uint32_t last) {
    return CodeSet(std::vector<CodeRange>{{first, last}});
  };
  sets["any"] = one(0, 0x10FFFF);
  sets["ascii"] = one(0, 0x7F);
  sets["assigned"] = ~sets["cn"];
  sets["alpha"] = sets["l"] | CodeSet(kOtherAlphabetic);
  sets["alphabetic"] = sets["alpha"];
  sets["digit"] = sets["nd"];
  sets["alnum"] = sets["alpha"] | sets["nd"];
  sets["blank"] = sets["zs"] | one('\t', '\t');
  sets["cntrl"] = sets["cc"];
  sets["punct"] = sets["p"] | sets["s"];
  sets["space"] = CodeSet(kSpaces);
  sets["whitespace"] = sets["space"];
  sets["xdigit"] = one('0', '9') | one('A', 'F') | one('a', 'f');
  sets["word"] = sets["alnum"] | sets["m"] | sets["pc"] | CodeSet(kLatin1Words);
}

const Sets& all_sets() {
  static const Sets sets = [] {
    Sets made;
    add_categories(made);
    add_scripts(made);
    add_posix(made);
    return made;
  }();
  return sets;
}

void mark(std::vector<CharClass>& classes, const CodeSet& set, CharClass kind) {
  for (const CodeRange& range : set.ranges()) {
    for (uint32_t code = range.first; code <= range.last && code < kClassedCodePoints; ++code) {
      classes[code] = kind;
    }
  }
}

}  // namespace

const CharClass* char_classes() {
  static const std::vector<CharClass> table = [] {
    std::vector<CharClass> classes(kClassedCodePoints);
    mark(classes, *unicode_set("L"), CharClass::letter);
    mark(classes, *unicode_set("N"), CharClass::number);
    mark(classes, space_set(), CharClass::space);
    return classes;
  }();
  return table.data();
}

const CodeSet* unicode_set(std::string_view name) {
  const auto found = all_sets().find(plain(name));
  return found == all_sets().end() ? nullptr : &found->second;
}

const char* script_of(uint32_t code) {
  static const std::vector<ScriptRange> sorted = [] {
    std::vector<ScriptRange> all(std::begin(kScripts), std::end(kScripts));
    std::sort(all.begin(), all.end(), [](const ScriptRange& a, const ScriptRange& b) {
      return a.range.first < b.range.first;
    });
    return all;
  }();
  const auto found =
      std::lower_bound(sorted.begin(), sorted.end(), code,
                       [](const ScriptRange& r, uint32_t c) { return r.range.last < c; });
  static const CodeSet unscripted(kReferenceUnscripted);
  const bool has =
      found != sorted.end() && found->range.first <= code && !unscripted.contains(code);
  return has ? found->script : nullptr;
}

const CodeSet& space_set() {
  return *unicode_set("space");
}

const CodeSet& word_set() {
  return *unicode_set("word");
}

const CodeSet& rust_word_set() {
  static const CodeSet set = (word_set() - CodeSet(kLatin1Words)) | CodeSet(kJoiners);
  return set;
}

const CodeSet& reference_punctuation_set() {
  static const CodeSet set(kReferencePunctuation);
  return set;
}

const CodeSet& reference_mark_set() {
  static const CodeSet set(kReferenceMarks);
  return set;
}

const CodeSet& reference_accent_set() {
  static const CodeSet set(kReferenceAccents);
  return set;
}

const CodeSet& reference_control_set() {
  static const CodeSet set(kReferenceControls);
  return set;
}

uint32_t lower_of(uint32_t code) {
  const auto* run = std::lower_bound(std::begin(kLower), std::end(kLower), code,
                                     [](const LowerRun& r, uint32_t c) { return r.last < c; });
  const bool changes =
      run != std::end(kLower) && run->first <= code && (code - run->first) % run->step == 0;
  return changes ? static_cast<uint32_t>(static_cast<int32_t>(code) + run->added) : code;
}

}  // namespace llmctl

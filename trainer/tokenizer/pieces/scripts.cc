#include "trainer/tokenizer/pieces/scripts.h"

#include "trainer/tokenizer/pieces/characters.h"
#include "trainer/tokenizer/pieces/unicode_class.h"

namespace llmctl {

// As the reference sees it: a space is of any script, and Japanese is one. Empty: any.
static std::string_view joined_script(uint32_t code) {
  if (code == ' ') return "";
  if (code == 0x30FC) return "Han";
  const char* script = script_of(code);
  const std::string_view name = script == nullptr ? "" : script;
  return name == "Hiragana" || name == "Katakana" ? "Han" : name;
}

// The reference drops what is before the first character that has a script.
Status split_by_script(std::string_view text,
                       const std::function<Status(std::string_view piece)>& emit) {
  std::string_view last;
  size_t begin = text.npos;
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    const std::string_view script = joined_script(next_code_point(text, at));
    if (script.empty() || script == last) continue;
    if (begin != text.npos) TRY(emit(text.substr(begin, here - begin)));
    begin = here;
    last = script;
  }
  return begin == text.npos ? ok_status() : emit(text.substr(begin));
}

}  // namespace llmctl

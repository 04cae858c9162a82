// The `normalizer` of a tokenizer.json: steps that change text before it is cut. Private to this
// room. Immutable; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "trainer/tokenizer/normal_forms.h"
#include "trainer/tokenizer/pieces/split.h"
#include "trainer/tokenizer/precompiled.h"

namespace llmctl {

struct NormalizerStep {
  enum class Kind {
    prepend,
    replace,
    normal_form,
    strip,
    strip_accents,
    strip_nonspacing,
    lowercase,
    nmt,
    clean,
    space_chinese,
    precompiled,
    byte_level
  };
  Kind kind = Kind::prepend;
  std::string content;                  // prepend, replace
  std::optional<SplitPattern> pattern;  // replace: each match becomes the content
  NormalForm form = NormalForm::nfc;    // normal_form
  bool left = false, right = false;     // strip
  std::shared_ptr<const PrecompiledMap> map;
};

Result<std::string> normalize(const std::vector<NormalizerStep>& steps, std::string_view text);

// With every match of the pattern replaced.
Result<std::string> replaced(const SplitPattern& pattern,
                             const std::string& content,
                             std::string_view text);

}  // namespace llmctl

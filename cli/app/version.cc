// version: answers without opening anything, so it is instant.
#include "core/base/version.h"

#include <nlohmann/json.hpp>

#include "cli/screen/documents.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

static VerbAction setup_version(CLI::App&) {
  return [](Context& context) -> Result<int> {
    if (context.json()) {
      context.print({{"api_version", kApiVersion}, {"version", kVersion}});
    } else {
      context.out << "llmctl " << kVersion << "\n";
    }
    return kExitOk;
  };
}

const Verb kVersionVerb{"version", "This program", "The version of llmctl",
                        "llmctl version\nllmctl version -o json", setup_version};

}  // namespace llmctl

#include "trainer/run/config_file.h"

#include "core/base/read_small_file.h"

namespace llmctl {

Result<RunConfig> read_run_config(const std::filesystem::path& file) {
  constexpr Bytes kMost = 16 << 20;  // a spec and a list of plans
  return parse_run_config(TRY(read_small_file(file, kMost)));
}

}  // namespace llmctl

#include "trainer/run/config_file.h"

#include <fstream>
#include <iterator>
#include <string>

namespace llmctl {

Result<RunConfig> read_run_config(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return Error{Code::not_found, file.string() + ": cannot be read", ""};
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return parse_run_config(text);
}

}  // namespace llmctl

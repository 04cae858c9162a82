#include "core/base/process_stat.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace llmctl {

std::optional<ProcessStat> read_process_stat(int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const size_t name_end = line.rfind(')');  // the name may hold spaces and parentheses
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  ProcessStat stat;
  std::string field;
  for (int number = 3; number <= 31 && fields >> field; ++number) {
    if (number == 3) stat.state = field[0];
    if (number == 9) stat.flags = std::strtoull(field.c_str(), nullptr, 10);
    if (number == 20) stat.threads = std::strtoll(field.c_str(), nullptr, 10);
    if (number == 22) stat.start_ticks = std::strtoll(field.c_str(), nullptr, 10);
    if (number == 31) stat.pending = std::strtoull(field.c_str(), nullptr, 10);
  }
  return stat;
}

}  // namespace llmctl

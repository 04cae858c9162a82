#include "trainer/device/cpu_pins.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "core/base/cpus.h"

namespace llmctl {

CpuPins::CpuPins(Rules rules) : rules_(std::move(rules)), before_(read_ticks()) {}

CpuPins::~CpuPins() {
  release();
}

void CpuPins::release() {
  for (const int socket : sockets_) close(socket);
  sockets_.clear();
}

// Lines of /proc/stat: "cpu3 user nice system idle iowait irq softirq steal …", in ticks.
std::map<int, CpuPins::Ticks> CpuPins::read_ticks() {
  constexpr int kIdle = 3, kWaiting = 4, kNumbers = 8;
  std::map<int, Ticks> all;
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("cpu") || line.starts_with("cpu ")) continue;
    std::istringstream numbers(line.substr(3));
    int cpu = 0;
    numbers >> cpu;
    Ticks& ticks = all[cpu];
    double number = 0;
    for (int i = 0; i < kNumbers && numbers >> number; ++i) {
      ticks.all += number;
      if (i != kIdle && i != kWaiting) ticks.busy += number;
    }
  }
  return all;
}

bool CpuPins::claim(int cpu) {
  const int claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (claim < 0) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = rules_.name + std::to_string(cpu);
  std::memcpy(address.sun_path + 1, name.data(), name.size());  // abstract: begins with a NUL
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  sockets_.push_back(claim);
  return bind(claim, reinterpret_cast<const sockaddr*>(&address), length) == 0;
}

std::vector<int> CpuPins::pin(int threads) {
  std::vector<int> cpus = allowed_cpus(), chosen;
  if (threads >= static_cast<int>(cpus.size())) {
    for (const int cpu : cpus) claim(cpu);
  }
  if (threads < 1 || threads >= static_cast<int>(cpus.size())) return {};
  std::map<int, Ticks> now = read_ticks();
  const auto busy = [&](int cpu) {
    const double all = now[cpu].all - before_[cpu].all;
    return all > 0 ? (now[cpu].busy - before_[cpu].busy) / all : 0;
  };
  for (const int cpu : cpus) {
    if (static_cast<int>(chosen.size()) == threads) break;
    if (busy(cpu) < rules_.busiest && claim(cpu)) chosen.push_back(cpu);
  }
  if (static_cast<int>(chosen.size()) == threads && stay_on(chosen)) return chosen;
  release();
  return {};
}

}  // namespace llmctl

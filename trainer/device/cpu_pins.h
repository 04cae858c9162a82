// CpuPins: the CPUs that a trainer's threads stay on, so that ranks that share a machine do not
// move onto each other's cores and caches. Chosen among those it may use: no other trainer has them
// (an abstract socket named after the CPU, bound while its owner lives: nothing is left behind by a
// crash, and all of the machine agree, whoever started them), and whatever else runs on the machine
// left them idle lately. Where too few are free nothing is pinned; where all are needed neither,
// but they are taken. Owned by the run; one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace llmctl {

class CpuPins {
 public:
  struct Rules {
    double busiest = 0.5;  // a CPU that was busy for a smaller share of the time is free
    std::string name = "llmctl-cpu-";  // of its socket, before the CPU's number
  };
  explicit CpuPins(Rules rules);  // begins to watch how busy the CPUs are
  CpuPins() : CpuPins(Rules()) {}
  ~CpuPins();
  CpuPins(const CpuPins&) = delete;
  CpuPins& operator=(const CpuPins&) = delete;

  // Pins this thread, and all that it starts from now on, to `threads` CPUs. Returns them; empty:
  // left as it was.
  std::vector<int> pin(int threads);

 private:
  struct Ticks {
    double busy = 0, all = 0;
  };
  static std::map<int, Ticks> read_ticks();
  bool claim(int cpu);
  void release();

  Rules rules_;
  std::map<int, Ticks> before_;
  std::vector<int> sockets_;  // open while the claims last
};

}  // namespace llmctl

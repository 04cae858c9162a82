#include "worker/runs/thread_dump.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "worker/files/open_file.h"

namespace llmctl::worker {

static constexpr int kThreads = 64;  // a trainer has a few per core
static constexpr Bytes kProcFile = 64 << 10;

static std::string first_line(std::string text) {
  text.resize(std::min(text.size(), text.find('\n')));
  return text;
}

// "State:\tS (sleeping)" -> "sleeping".
static std::string state_of(const std::string& status) {
  const size_t at = status.find("\nState:");
  const size_t open = at == std::string::npos ? at : status.find('(', at);
  const size_t close = open == std::string::npos ? open : status.find(')', open);
  return close == std::string::npos ? "unknown" : status.substr(open + 1, close - open - 1);
}

ThreadDump dump_threads(pid_t pid) {
  ThreadDump dump;
  std::map<std::string, int> places;
  int threads = 0;
  std::error_code error;
  const std::filesystem::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    if (++threads > kThreads) continue;
    const auto text = [&](const char* file) {
      return read_small_file(task.path() / file, kProcFile).value_or("");
    };
    const std::string state = state_of(text("status"));
    const std::string waits_in = first_line(text("wchan"));
    const bool waits = !waits_in.empty() && waits_in != "0";
    ++places[state == "sleeping" && waits ? "in " + waits_in : state];
    dump.text += "thread " + task.path().filename().string() + " " + first_line(text("comm")) +
                 ": " + state + (waits ? ", in " + waits_in : "") + "\n" + text("stack");
  }
  dump.headline = std::to_string(threads) + (threads == 1 ? " thread:" : " threads:");
  for (const auto& [place, count] : places) {
    dump.headline +=
        (dump.headline.back() == ':' ? " " : ", ") + std::to_string(count) + " " + place;
  }
  return dump;
}

}  // namespace llmctl::worker

#include "cli/sample.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace llmctl {

constexpr std::streamoff kTailBytes = 256 << 10;  // the sample is one of the last lines

static std::string sample_of(const std::filesystem::path& report) {
  std::ifstream file(report, std::ios::binary);
  if (!file.seekg(0, std::ios::end)) return "";
  file.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(file.tellg()) - kTailBytes));
  std::string found;
  for (std::string line; std::getline(file, line);) {
    if (line.find("\"sample\"") == std::string::npos) continue;
    const auto document = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!document.is_object() || document.value("type", nlohmann::json()) != "sample") continue;
    const auto text = document.find("text"), prompt = document.find("prompt");
    if (text == document.end() || !text->is_string()) continue;
    found = prompt != document.end() && prompt->is_string() ? prompt->get<std::string>() : "";
    found += text->get<std::string>();
  }
  return found;
}

std::string find_sample(const Home& home, const JobView& job) {
  const std::string run =
      std::to_string(job.id) + "-e" + std::to_string(job.epoch) + "-r0/report.jsonl";
  std::error_code error;
  for (const auto& worker : std::filesystem::directory_iterator(home.dir + "/workers", error)) {
    for (const char* folder : {"runs", "ended"}) {
      std::string sample = sample_of(worker.path() / folder / run);
      if (!sample.empty()) return sample;
    }
  }
  return "";
}

}  // namespace llmctl

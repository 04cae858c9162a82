// A folder in memory for inputs that are files; gone when the fuzzer ends.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace llmctl {

inline const std::filesystem::path& fuzz_directory() {
  namespace fs = std::filesystem;
  static const fs::path path = [] {
    const fs::path root = fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path();
    const fs::path made = root / ("llmctl-fuzz-" + std::to_string(::getpid()));
    fs::create_directories(made);
    std::atexit([] { fs::remove_all(fuzz_directory()); });
    return made;
  }();
  return path;
}

inline void put(const char* name, std::string_view content) {
  std::ofstream out(fuzz_directory() / name, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
}

// Up to the next zero byte; `input` goes on behind it.
inline std::string_view next_part(std::string_view& input) {
  const size_t cut = input.find('\0');
  const std::string_view part = input.substr(0, cut);
  input.remove_prefix(cut == input.npos ? input.size() : cut + 1);
  return part;
}

}  // namespace llmctl

#include "trainer/files/glob_walk.h"

#include <fnmatch.h>
#include <glob.h>

#include <algorithm>
#include <span>

namespace llmctl {
namespace fs = std::filesystem;
namespace {

using Names = std::vector<std::string>;

// `**` takes as few names as it can, then one more each time the rest does not fit.
bool matches(std::span<const std::string> patterns, std::span<const std::string> names) {
  if (patterns.empty()) return names.empty();
  if (patterns[0] != "**") {
    return !names.empty() && ::fnmatch(patterns[0].c_str(), names[0].c_str(), FNM_PERIOD) == 0 &&
           matches(patterns.subspan(1), names.subspan(1));
  }
  if (matches(patterns.subspan(1), names)) return true;
  return !names.empty() && !names[0].starts_with('.') && matches(patterns, names.subspan(1));
}

std::vector<fs::path> shell_glob(const std::string& pattern) {
  glob_t found{};
  std::vector<fs::path> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return paths;
}

}  // namespace

Result<std::vector<fs::path>> expand_glob(const std::string& pattern, size_t limit) {
  fs::path root;
  Names patterns;
  for (const fs::path& part : fs::path(pattern)) {
    const std::string name = part.string();
    const bool plain = patterns.empty() && name.find_first_of("*?[") == name.npos;
    const bool repeated = name == "**" && !patterns.empty() && patterns.back() == "**";
    if (plain) {
      root /= part;
    } else if (!repeated) {
      patterns.push_back(name);
    }
  }
  if (std::find(patterns.begin(), patterns.end(), "**") == patterns.end()) {
    return shell_glob(pattern);
  }
  const bool hidden = std::any_of(patterns.begin(), patterns.end(),
                                  [](const std::string& name) { return name.starts_with('.'); });
  std::vector<fs::path> paths;
  std::error_code failed;
  fs::recursive_directory_iterator it(root.empty() ? "." : root, failed), end;
  for (Names names; !failed && it != end; it.increment(failed)) {
    names.resize(static_cast<size_t>(it.depth()));
    names.push_back(it->path().filename().string());
    if (!hidden && names.back().starts_with('.')) it.disable_recursion_pending();
    std::error_code ignored;
    if (!it->is_regular_file(ignored) || !matches(patterns, names)) continue;
    if (paths.size() == limit) {
      return Error{Code::invalid_argument,
                   pattern + ": more than " + std::to_string(limit) + " files", ""};
    }
    paths.push_back(it->path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace llmctl

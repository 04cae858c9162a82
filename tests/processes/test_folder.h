// A new folder under the temporary one, for one test; the destructor removes it with all that is in
// it, unless the test says keep(). Owned by one test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/base/result.h"

namespace llmctl::testing {

class TestFolder {
 public:
  explicit TestFolder(const std::string& name) {
    std::string path = std::filesystem::temp_directory_path() / ("llmctl-" + name + "-XXXXXX");
    CHECK(::mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  ~TestFolder() {
    std::error_code ignored;
    if (!kept_) std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void keep() { kept_ = true; }

 private:
  std::filesystem::path path_;
  bool kept_ = false;
};

}  // namespace llmctl::testing

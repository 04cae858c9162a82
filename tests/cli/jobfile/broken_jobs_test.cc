// Every broken job file of tests/cli/jobfile/broken_jobs/ gives exactly the messages beside it.
// LLMCTL_UPDATE_GOLDEN=1 rewrites them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "cli/jobfile/job_file.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(LLMCTL_SOURCE_DIR) / "tests/cli/jobfile/broken_jobs";

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// What a person sees, with the folder's own place left out.
std::string messages(const fs::path& path) {
  const Result<LoadedJob> job = load_job(path.string(), {});
  std::string text = job.ok() ? job->text() : job.error().message + "\n";
  const std::string folder = kFolder.string() + "/";
  for (size_t at = text.find(folder); at != std::string::npos; at = text.find(folder, at)) {
    text.erase(at, folder.size());
  }
  return text;
}

std::set<fs::path> broken_jobs() {
  std::set<fs::path> jobs;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".yaml") jobs.insert(entry.path());
  }
  return jobs;
}

TEST(BrokenJobs, EachGivesExactlyItsMessages) {
  const bool update = std::getenv("LLMCTL_UPDATE_GOLDEN") != nullptr;
  for (const fs::path& job : broken_jobs()) {
    fs::path expected = job;
    expected.replace_extension(".txt");
    if (update) std::ofstream(expected, std::ios::binary) << messages(job);
    EXPECT_EQ(messages(job), read(expected)) << job;
  }
}

TEST(BrokenJobs, NoneIsAccepted) {
  for (const fs::path& path : broken_jobs()) {
    const Result<LoadedJob> job = load_job(path.string(), {});
    EXPECT_FALSE(job.ok() && job->ok()) << path;
  }
}

TEST(BrokenJobs, ThereAreAtLeastSixty) {
  EXPECT_GE(broken_jobs().size(), 60U);
}

}  // namespace
}  // namespace llmctl

// Which folder lies at --jobs-dir: machines that mount the same one see each other's checkpoints.
// Its id is kept in JOBS/folder, made by the first worker that comes. Worker's loop thread.
#pragma once

#include <filesystem>
#include <string>

namespace llmctl::worker {

// Empty: it cannot be read or made; nothing could be trained there.
std::string jobs_folder_id(const std::filesystem::path& jobs_dir);

}  // namespace llmctl::worker

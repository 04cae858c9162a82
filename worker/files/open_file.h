// OpenFile: a file descriptor with one owner, and reading and replacing small files. Move-only.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/units.h"

namespace llmctl::worker {

class OpenFile {
 public:
  OpenFile() = default;
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(OpenFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OpenFile& operator=(OpenFile&& other) noexcept;
  ~OpenFile();
  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// "PATH: open: No such file or directory", with the code a caller may act on.
Error system_error(const std::filesystem::path& path, std::string_view what, int error_number);

// Both ends of a SOCK_SEQPACKET: what is sent at once is received at once.
struct PacketSockets {
  OpenFile ours, theirs;
};
Result<PacketSockets> open_packet_sockets();

// None: missing, unreadable or larger than `limit`.
std::optional<std::string> read_small_file(const std::filesystem::path& path, Bytes limit);
// Writes PATH.tmp and renames it. `durable`: the file and its directory are fsynced.
Status replace_file(const std::filesystem::path& path,
                    std::string_view text,
                    bool durable,
                    mode_t mode = 0644);
// Writes everything or gives up at the first error (EINTR is not one).
bool write_all(int fd, std::string_view bytes);

}  // namespace llmctl::worker

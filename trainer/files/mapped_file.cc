#include "trainer/files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/json_reader.h"

namespace llmctl {
namespace {

// What a signal handler may read: entries are whole before their address is there.
struct Mapping {
  std::atomic<bool> taken = false;
  std::atomic<const std::byte*> begin = nullptr;
  size_t bytes = 0;
  const char* name = nullptr;
  bool input = false;
};
std::array<Mapping, 1'024> mappings;  // beyond them a lost page has no name

int enter(std::span<const std::byte> bytes, const char* name, bool input) {
  for (size_t i = 0; i < mappings.size(); ++i) {
    Mapping& mapping = mappings[i];
    if (mapping.taken.exchange(true)) continue;
    mapping.bytes = bytes.size();
    mapping.name = name;
    mapping.input = input;
    mapping.begin.store(bytes.data(), std::memory_order_release);
    return static_cast<int>(i);
  }
  return -1;
}

}  // namespace

MappedPage mapped_page_at(const void* address) {
  const auto* at = static_cast<const std::byte*>(address);
  for (const Mapping& mapping : mappings) {
    const std::byte* begin = mapping.begin.load(std::memory_order_acquire);
    if (begin == nullptr || at < begin || at >= begin + mapping.bytes) continue;
    return {mapping.name, mapping.input};
  }
  return {};
}

MappedFile::MappedFile(std::span<const std::byte> bytes, std::string name, bool input)
    : bytes_(bytes), name_(std::move(name)) {
  if (!bytes_.empty()) place_ = enter(bytes_, name_.c_str(), input);
}

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& file,
                                                           bool input) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer; for regular files it means nothing.
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const Code code = errno == ENOENT ? Code::not_found : Code::unavailable;
    return Error{code, file.string() + ": cannot open: " + std::strerror(errno), ""};
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return Error{Code::invalid_argument, file.string() + ": not a regular file", ""};
  }
  const auto size = static_cast<size_t>(info.st_size);
  // Nothing of an empty file can be mapped; readers still get an address, as memcpy wants one.
  static std::byte nothing{};
  void* at = size == 0 ? &nothing : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  const int map_errno = errno;
  ::close(fd);
  if (at == MAP_FAILED) {
    return Error{Code::unavailable, file.string() + ": cannot map: " + std::strerror(map_errno),
                 ""};
  }
  const std::string quoted = dump_json(file.string());
  return std::shared_ptr<const MappedFile>(new MappedFile(
      {static_cast<std::byte*>(at), size}, quoted.substr(1, quoted.size() - 2), input));
}

MappedFile::~MappedFile() {
  if (place_ >= 0) {
    Mapping& mapping = mappings[static_cast<size_t>(place_)];
    mapping.begin.store(nullptr);
    mapping.taken.store(false);
  }
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace llmctl

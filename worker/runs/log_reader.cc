#include "worker/runs/log_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace llmctl::worker {

namespace fs = std::filesystem;

static constexpr size_t kReaders = 64;  // people who look at one worker's logs at once
static constexpr Bytes kPieceBytes = 64 << 10;

static Bytes size_of(const OpenFile& file) {
  struct stat info {};
  return file && fstat(file.fd(), &info) == 0 ? info.st_size : 0;
}

static OpenFile open_log(const fs::path& path) {
  return OpenFile(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

Result<LogReaders::Reader> LogReaders::open(const fs::path& directory, const LogRead& request) {
  Reader reader;
  reader.directory = directory;
  reader.run = request.run;
  reader.follow = request.follow;
  OpenFile older = open_log(directory / "log.1.txt"), newest = open_log(directory / "log.txt");
  if (!newest && !request.follow && !fs::exists(directory / "exit.json")) {
    return Error{Code::not_found, "this rank has written no log yet", ""};
  }
  const Bytes total = size_of(older) + size_of(newest);
  Bytes skip = request.tail_bytes > 0 ? std::max<Bytes>(0, total - request.tail_bytes) : 0;
  for (OpenFile* part : {&older, &newest}) {
    const Bytes here = std::min(skip, size_of(*part));
    if (*part && lseek(part->fd(), here, SEEK_SET) == here)
      reader.parts.push_back(std::move(*part));
    skip -= here;
  }
  return reader;
}

void LogReaders::receive(const LogRead& request) {
  if (request.cancel) {
    readers_.erase(request.request);
    return;
  }
  const auto refuse = [&](const std::string& why) {
    refused_.push_back({request.request, "", true, why});
  };
  if (readers_.size() >= kReaders) return refuse("too many log readers on this worker");
  const auto directory = find_(request.run);
  if (!directory) return refuse("the log of this attempt is not on this worker (any more)");
  auto reader = open(*directory, request);
  if (!reader.ok()) return refuse(reader.error().message);
  readers_.insert_or_assign(request.request, std::move(reader).value());
}

bool LogReaders::was_rotated(const Reader& reader) const {
  struct stat ours {
  }, current{};
  return fstat(reader.parts.front().fd(), &ours) == 0 &&
         stat((reader.directory / "log.txt").c_str(), &current) == 0 &&
         ours.st_ino != current.st_ino;
}

LogData LogReaders::read_piece(int64_t request, Reader& reader, Bytes limit_bytes) {
  LogData piece{request, std::string(static_cast<size_t>(limit_bytes), '\0'), false, ""};
  // Asked before the log is read: what a run that has ended wrote is then read in full. The other
  // way round the last lines could be written between the read and the question.
  reader.directory = find_(reader.run).value_or(reader.directory);
  reader.ended = reader.ended || fs::exists(reader.directory / "exit.json");
  if (reader.parts.empty()) {
    OpenFile file = open_log(reader.directory / "log.txt");
    if (file) reader.parts.push_back(std::move(file));
  }
  const ssize_t n = reader.parts.empty()
                        ? 0
                        : ::read(reader.parts.front().fd(), piece.data.data(), piece.data.size());
  piece.data.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
  if (n > 0) return piece;
  if (reader.parts.size() > 1 || (!reader.parts.empty() && was_rotated(reader))) {
    reader.parts.erase(reader.parts.begin());
    return read_piece(request, reader, limit_bytes);
  }
  piece.end = !reader.follow || reader.ended;
  return piece;
}

std::vector<LogData> LogReaders::read(Bytes limit_bytes) {
  std::vector<LogData> pieces = std::exchange(refused_, {});
  for (auto it = readers_.begin(); it != readers_.end() && limit_bytes > 0;) {
    LogData piece = read_piece(it->first, it->second, std::min(kPieceBytes, limit_bytes));
    limit_bytes -= static_cast<Bytes>(piece.data.size());
    const bool end = piece.end;
    if (end || !piece.data.empty()) pieces.push_back(std::move(piece));
    it = end ? readers_.erase(it) : std::next(it);
  }
  return pieces;
}

}  // namespace llmctl::worker

// TensorBoard's event files, as far as scalars need them: a TFRecord per event (u64 length, masked
// CRC32C of it, bytes, masked CRC32C of those; little endian), an event being a protobuf message
// (tensorflow/core/util/event.proto, encoded here by hand). The first says the version, the second
// that a session begins at a step, so a reader forgets what an earlier, killed one wrote from there
// on. A file is only appended to; a torn last record is what readers expect after a crash.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace llmctl::tfevents {

struct Moment {
  double unix_seconds = 0;
  int64_t step = 0;
};
std::string version_record(const Moment& at);
std::string session_record(const Moment& at);
struct Scalar {
  std::string_view tag;
  double value = 0;
};
std::string scalar_record(const Moment& at, std::span<const Scalar> scalars);

}  // namespace llmctl::tfevents

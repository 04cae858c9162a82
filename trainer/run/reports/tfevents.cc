#include "trainer/run/reports/tfevents.h"

#include <cstring>

#include "trainer/files/crc32c.h"

namespace llmctl::tfevents {
namespace {

// Protobuf's wire types; a key is field number * 8 + type.
enum class Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void put_key(std::string& out, int field, Wire wire) {
  put_varint(out, static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire));
}

template <class Number>
void put_little_endian(std::string& out, Number value) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void put_bytes(std::string& out, int field, std::string_view bytes) {
  put_key(out, field, Wire::bytes);
  put_varint(out, bytes.size());
  out += bytes;
}

// Event: wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7.
std::string event_at(const Moment& at) {
  std::string event;
  put_key(event, 1, Wire::fixed64);
  put_little_endian(event, at.unix_seconds);
  put_key(event, 2, Wire::varint);
  put_varint(event, static_cast<uint64_t>(at.step));
  return event;
}

// A plain CRC over data that holds CRCs is weak, so TFRecord turns and shifts it.
uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(std::as_bytes(std::span(bytes)));
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

std::string record(const std::string& event) {
  std::string length, out;
  put_little_endian(length, static_cast<uint64_t>(event.size()));
  out = length;
  put_little_endian(out, masked_crc(length));
  out += event;
  put_little_endian(out, masked_crc(event));
  return out;
}

}  // namespace

std::string version_record(const Moment& at) {
  std::string event = event_at(at);
  put_bytes(event, 3, "brain.Event:2");
  return record(event);
}

std::string session_record(const Moment& at) {
  std::string log, event = event_at(at);
  put_key(log, 1, Wire::varint);  // SessionLog: status = 1
  put_varint(log, 1);             // START
  put_bytes(event, 7, log);
  return record(event);
}

std::string scalar_record(const Moment& at, std::span<const Scalar> scalars) {
  std::string summary;
  for (const Scalar& scalar : scalars) {
    std::string value;  // Summary.Value: tag = 1, simple_value = 2
    put_bytes(value, 1, scalar.tag);
    put_key(value, 2, Wire::fixed32);
    put_little_endian(value, static_cast<float>(scalar.value));
    put_bytes(summary, 1, value);
  }
  std::string event = event_at(at);
  put_bytes(event, 5, summary);
  return record(event);
}

}  // namespace llmctl::tfevents

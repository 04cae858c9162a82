// Text forms of sizes and durations, as people write them in job files and read them in tables.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace llmctl {

using Bytes = int64_t;  // a plain number of bytes; the name is for signatures
using Millis =
    int64_t;  // milliseconds: durations, and points on a named clock (…_unix_ms, …_boot_ms)

inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "512", "4GiB", "8GB", "1.5 MiB" (GB = 10^9, GiB and plain G = 2^30). Never negative.
Result<Bytes> parse_bytes(std::string_view text);
// "90s", "8h30m", "250ms", "2d"; a bare number is seconds.
Result<Millis> parse_duration(std::string_view text);
std::string format_bytes(Bytes bytes);         // "3.4 GiB"
std::string format_duration(Millis duration);  // "1h 02m", "3m 05s", "420ms"
std::string format_count(double count);        // "1.3M", "12.4k", "999"
std::string format_exact(double number);       // "0.1", "5.0", "1e-08": reads back the same
std::string format_rfc3339(Millis unix_ms);    // "2026-11-21T08:30:00.123Z"

}  // namespace llmctl

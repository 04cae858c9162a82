#include "core/base/random_hex.h"

#include <sys/random.h>

#include <array>
#include <string_view>

#include "core/base/result.h"

namespace llmctl {

std::string random_hex(size_t bytes) {
  std::array<unsigned char, 256> random{};
  CHECK(bytes <= random.size());
  CHECK(getrandom(random.data(), bytes, 0) == static_cast<ssize_t>(bytes));
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < bytes; ++i) {
    text += kDigits[random[i] >> 4];
    text += kDigits[random[i] & 15];
  }
  return text;
}

}  // namespace llmctl

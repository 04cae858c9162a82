#include "core/base/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <limits>

namespace llmctl {

struct Unit {
  std::string_view name;
  int64_t scale;
};

// A bare letter means the binary unit, as in `docker -m 4G` and Slurm.
static constexpr auto kByteUnits = std::to_array<Unit>({
    {"", 1},
    {"b", 1},
    {"k", 1LL << 10},
    {"kib", 1LL << 10},
    {"kb", 1'000LL},
    {"m", 1LL << 20},
    {"mib", 1LL << 20},
    {"mb", 1'000'000LL},
    {"g", 1LL << 30},
    {"gib", 1LL << 30},
    {"gb", 1'000'000'000LL},
    {"t", 1LL << 40},
    {"tib", 1LL << 40},
    {"tb", 1'000'000'000'000LL},
});
// From large to small: a duration names its units in this order.
static constexpr auto kTimeUnits = std::to_array<Unit>({
    {"d", 86'400'000},
    {"h", 3'600'000},
    {"m", 60'000},
    {"s", 1'000},
    {"ms", 1},
});

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip_spaces(std::string_view& text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
}

static Error bad(std::string_view wanted, std::string_view text) {
  return {Code::invalid_argument,
          "expected " + std::string(wanted) + ", got \"" + std::string(text) + "\"", ""};
}

// Takes "12", "1.5" from the front of `text` and multiplies; nothing when there is no number or it
// overflows. Whole numbers are exact to the last bit; fractions round down.
struct Number {
  int64_t whole = 0;
  double fraction = 0;
};
static bool take_number(std::string_view& text, Number& number) {
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, number.whole);
  if (error != std::errc() || !is_digit(text.front())) return false;
  text.remove_prefix(static_cast<size_t>(stop - text.data()));
  number.fraction = 0;
  if (text.size() < 2 || text[0] != '.' || !is_digit(text[1])) return true;
  text.remove_prefix(1);
  for (double digit = 0.1; !text.empty() && is_digit(text.front()); digit /= 10) {
    number.fraction += digit * (text.front() - '0');
    text.remove_prefix(1);
  }
  return true;
}

static bool scaled(const Number& number, int64_t scale, int64_t& value) {
  if (__builtin_mul_overflow(number.whole, scale, &value)) return false;
  // The digits' sum is a little off; the nudge keeps 0.3s at 300 ms.
  const double part = std::floor(number.fraction * static_cast<double>(scale) + 1e-6);
  return !__builtin_add_overflow(value, static_cast<int64_t>(part), &value);
}

static std::string_view take_letters(std::string_view& text) {
  size_t size = 0;
  while (size < text.size() && is_letter(text[size])) ++size;
  std::string_view word = text.substr(0, size);
  text.remove_prefix(size);
  return word;
}

static std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

Result<Bytes> parse_bytes(std::string_view text) {
  constexpr std::string_view kWanted = "a size like 24GiB or 512MB";
  std::string_view rest = text;
  skip_spaces(rest);
  Number number;
  if (rest.empty() || !take_number(rest, number)) return bad(kWanted, text);
  skip_spaces(rest);
  const std::string unit = lowered(take_letters(rest));
  skip_spaces(rest);
  if (!rest.empty()) return bad(kWanted, text);
  for (const Unit& known : kByteUnits) {
    Bytes bytes = 0;
    if (known.name == unit && scaled(number, known.scale, bytes)) return bytes;
  }
  return bad(kWanted, text);
}

Result<Millis> parse_duration(std::string_view text) {
  constexpr std::string_view kWanted = "a duration like 8h30m or 90s";
  std::string_view rest = text;
  Millis total = 0;
  size_t next_unit = 0;  // index of the largest unit that may still come
  skip_spaces(rest);
  if (rest.empty()) return bad(kWanted, text);
  while (!rest.empty()) {
    Number number;
    if (!take_number(rest, number)) return bad(kWanted, text);
    const std::string_view word = take_letters(rest);
    skip_spaces(rest);
    const bool bare = word.empty() && next_unit == 0 && rest.empty();
    const std::string_view unit = bare ? "s" : word;
    size_t index = next_unit;
    while (index < kTimeUnits.size() && kTimeUnits[index].name != unit) ++index;
    Millis part = 0;
    if (index == kTimeUnits.size() || !scaled(number, kTimeUnits[index].scale, part) ||
        __builtin_add_overflow(total, part, &total)) {
      return bad(kWanted, text);
    }
    next_unit = index + 1;
  }
  return total;
}

static std::string format(const char* pattern, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, pattern, value);
  return buffer;
}

std::string format_bytes(Bytes bytes) {
  constexpr auto kNames = std::to_array({"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"});
  if (bytes > -1024 && bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  size_t name = 0;
  while (std::abs(value) >= 1023.95 && name + 1 < kNames.size()) {
    value /= 1024;
    ++name;
  }
  return format("%.1f ", value) + kNames[name];
}

static std::string two_parts(int64_t large, const char* unit, int64_t small, const char* smaller) {
  const std::string digits = std::to_string(small);
  return std::to_string(large) + unit + " " + (small < 10 ? "0" : "") + digits + smaller;
}

std::string format_duration(Millis duration) {
  if (duration < 0) {
    // The most negative value has no positive twin.
    const Millis twin = duration == std::numeric_limits<Millis>::min()
                            ? std::numeric_limits<Millis>::max()
                            : -duration;
    return "-" + format_duration(twin);
  }
  if (duration < 1'000) return std::to_string(duration) + "ms";
  const int64_t seconds = duration / 1'000;
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3'600) return two_parts(seconds / 60, "m", seconds % 60, "s");
  if (seconds < 86'400) return two_parts(seconds / 3'600, "h", seconds % 3'600 / 60, "m");
  return two_parts(seconds / 86'400, "d", seconds % 86'400 / 3'600, "h");
}

std::string format_count(double count) {
  constexpr auto kSuffixes = std::to_array({"", "k", "M", "B", "T"});
  if (!std::isfinite(count)) return "-";
  size_t suffix = 0;
  double value = count;
  while (std::abs(value) >= (suffix == 0 ? 999.5 : 999.95) && suffix + 1 < kSuffixes.size()) {
    value /= 1'000;
    ++suffix;
  }
  return format(suffix == 0 ? "%.0f" : "%.1f", value) + kSuffixes[suffix];
}

std::string format_exact(double number) {
  std::array<char, 32> digits{};  // the longest has 24
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  std::string text(digits.data(), end);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

std::string format_rfc3339(Millis unix_ms) {
  Millis millis = unix_ms % 1'000;
  if (millis < 0) millis += 1'000;
  const std::time_t seconds = (unix_ms - millis) / 1'000;
  std::tm utc{};
  if (gmtime_r(&seconds, &utc) == nullptr) return "-";
  char buffer[96];
  std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(millis));
  return buffer;
}

}  // namespace llmctl

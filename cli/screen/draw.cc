#include "cli/screen/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <vector>

namespace llmctl {

static bool starts_code_point(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

// Marks that turn the direction of text around, or break the line, in UTF-8.
static bool is_layout_mark(std::string_view three) {
  const auto second = static_cast<unsigned char>(three[1]);
  const auto third = static_cast<unsigned char>(three[2]);
  if (three[0] != '\xE2') return false;
  if (second == 0x80) return third == 0x8E || third == 0x8F || (third >= 0xA8 && third <= 0xAE);
  return second == 0x81 && third >= 0xA6 && third <= 0xA9;
}

std::string clean(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == '\n' || byte == '\t')
      c = ' ';
    else if (byte < 0x20 || byte == 0x7F)
      c = '?';
  }
  for (size_t i = 0; i + 2 < out.size(); ++i) {
    if (is_layout_mark(std::string_view(out).substr(i, 3))) out.replace(i, 3, "?");
  }
  // C1 controls (U+0080..U+009F) act like escape sequences on some terminals.
  for (size_t i = 0; i + 1 < out.size(); ++i) {
    const bool control = out[i] == '\xC2' && static_cast<unsigned char>(out[i + 1]) < 0xA0;
    const bool arabic_mark = out[i] == '\xD8' && out[i + 1] == '\x9C';
    if (control || arabic_mark) out[i] = out[i + 1] = '?';
  }
  return out;
}

std::string clean_lines(std::string_view text, std::string_view indent) {
  std::string out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    out.append(begin == 0 ? "" : "\n")
        .append(indent)
        .append(clean(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return out;
}

int columns_of(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), starts_code_point));
}

std::string pad_right(std::string text, int columns) {
  text.append(static_cast<size_t>(std::max(0, columns - columns_of(text))), ' ');
  return text;
}

std::string pad_left(std::string text, int columns) {
  text.insert(0, static_cast<size_t>(std::max(0, columns - columns_of(text))), ' ');
  return text;
}

std::string cut(std::string_view text, int columns, const Terminal& terminal) {
  if (columns_of(text) <= columns) return std::string(text);
  if (columns <= 0) return "";
  size_t end = 0;
  for (int kept = 0; end < text.size(); ++end) {
    if (starts_code_point(text[end]) && kept++ == columns - 1) break;
  }
  return std::string(text.substr(0, end)) + (terminal.unicode ? "…" : "~");
}

std::string bar(double share, int columns, const Terminal& terminal) {
  const double full = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) * columns : 0;
  const int whole = static_cast<int>(full);
  std::string out;
  if (!terminal.unicode) {
    out = std::string(static_cast<size_t>(whole), '#');
    return pad_right(std::move(out), columns)
        .replace(static_cast<size_t>(whole), std::string::npos,
                 static_cast<size_t>(columns - whole), '.');
  }
  static constexpr std::array<const char*, 8> kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  for (int i = 0; i < whole; ++i) out += "█";
  out += kEighths[static_cast<size_t>((full - whole) * 8)];
  while (columns_of(out) < columns) out += "░";
  return out;
}

std::string sparkline(std::span<const double> values, int columns, const Terminal& terminal) {
  static constexpr std::array<const char*, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::array<const char*, 8> kAscii = {"_", ".", "-", "~", "=", "+", "*", "#"};
  const auto& marks = terminal.unicode ? kBlocks : kAscii;
  std::vector<double> finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite),
               [](double v) { return std::isfinite(v); });
  if (finite.empty() || columns <= 0) return "";
  const auto [low, high] = std::minmax_element(finite.begin(), finite.end());
  const double bottom = *low, range = *high - *low;
  const size_t width = std::min(finite.size(), static_cast<size_t>(columns));
  std::string out;
  for (size_t i = 0; i < width; ++i) {
    const double value = finite[width == 1 ? 0 : i * (finite.size() - 1) / (width - 1)];
    const double height = range > 0 ? (value - bottom) / range : 0;
    out += marks[static_cast<size_t>(std::lround(height * 7))];
  }
  return out;
}

std::string paint(std::string text, Tone tone, const Terminal& terminal) {
  if (!terminal.color || tone == Tone::plain) return text;
  const char* code = "1";
  if (tone == Tone::good) code = "32";
  if (tone == Tone::warn) code = "33";
  if (tone == Tone::bad) code = "31";
  if (tone == Tone::dim) code = "2";
  return std::string("\x1b[") + code + "m" + text + "\x1b[0m";
}

Tone tone_of_state(std::string_view state) {
  for (const char* good : {"SUCCEEDED", "RUNNING", "ready", "up", "ok"}) {
    if (state == good) return Tone::good;
  }
  for (const char* bad : {"FAILED", "lost", "dead", "fail"}) {
    if (state == bad) return Tone::bad;
  }
  for (const char* warn :
       {"RECOVERING", "PREEMPTING", "PAUSED", "disconnected", "draining", "drained", "warn"}) {
    if (state == warn) return Tone::warn;
  }
  return state == "CANCELED" ? Tone::dim : Tone::plain;
}

std::string age(Millis since_ms) {
  const Millis seconds = std::max<Millis>(0, since_ms) / 1000;
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) return std::to_string(seconds / 60) + "m";
  if (seconds < Millis{48} * 3600) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

std::string format_loss(double loss) {
  if (!std::isfinite(loss)) return "-";
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), std::fabs(loss) < 1000 ? "%.3f" : "%.3g", loss);
  return buffer.data();
}

std::string format_rate(double per_s) {
  return std::isfinite(per_s) && per_s > 0 ? format_count(per_s) : "-";
}

std::string format_eta(double seconds) {
  if (!std::isfinite(seconds) || seconds <= 0) return "-";
  return format_duration(static_cast<Millis>(std::min(seconds, 1e9)) * 1000);
}

}  // namespace llmctl

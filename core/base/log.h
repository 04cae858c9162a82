// The log of the programs that run for long, on stderr, for operators. The scheduler's lines are
// `time level what key=value …`; values with spaces, quotes or control characters are quoted, so a
// hostile name cannot forge a line. The worker's are `time worker: sentence`. Thread-safe: each
// line is one write.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace llmctl {

struct LogField {
  std::string_view key;
  std::string value;
};
void log_info(std::string_view what, std::initializer_list<LogField> fields = {});
void log_error(std::string_view what, std::initializer_list<LogField> fields = {});
std::string log_value(std::string_view value);  // quoted when it must be

void log_sentence(std::string_view program, std::string_view sentence);

}  // namespace llmctl

// How the commands of people read their arguments and answer for what they did: flags with a value,
// switches without one, everything else is an operand; errors are words on standard error. One
// thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace llmctl {

// Reads the value of `flag`; its error names the flag.
using ReadValue = std::function<Status(const std::string& flag, const std::string& value)>;

struct Flags {
  std::map<std::string, ReadValue> values;     // "--text": what reads FILE of "--text FILE"
  std::map<std::string, bool*> switches = {};  // "--json": what becomes true
};

// Readers that store the value. Requires: what they store into outlives them.
ReadValue into(std::string& text);
ReadValue into(std::filesystem::path& path);
ReadValue count_into(int64_t& count);    // at least 1
ReadValue amount_into(int64_t& amount);  // at least 0
ReadValue amount_into(double& amount);

// Returns the operands. invalid_argument: an unknown flag, a missing value, or the reader's error.
Result<std::vector<std::string>> read_arguments(std::span<const std::string> args,
                                                const Flags& flags);

// Runs `work`, which writes to `out`, and says what went wrong; `usage` too when there are no
// arguments. LibTorch's exceptions end here. The exit code: 0, 1 when `out` cannot be written, 2.
int run_command(const std::vector<std::string>& args,
                const char* usage,
                std::ostream& out,
                const std::function<Status()>& work);

}  // namespace llmctl

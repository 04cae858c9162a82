#include "trainer/commands/command_line.h"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <ostream>

namespace llmctl {
namespace {

template <class Number>
ReadValue number_into(Number& number, Number least, const char* expected) {
  return [&number, least, expected](const std::string& flag, const std::string& text) -> Status {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && stop == end && number >= least) return ok_status();
    return invalid(flag + ": expected " + expected + ", got \"" + text + "\"");
  };
}

}  // namespace

ReadValue into(std::string& text) {
  return [&text](const std::string&, const std::string& value) {
    text = value;
    return ok_status();
  };
}

ReadValue into(std::filesystem::path& path) {
  return [&path](const std::string&, const std::string& value) {
    path = value;
    return ok_status();
  };
}

ReadValue count_into(int64_t& count) {
  return number_into<int64_t>(count, 1, "a number above 0");
}

ReadValue amount_into(int64_t& amount) {
  return number_into<int64_t>(amount, 0, "a number that is not negative");
}

ReadValue amount_into(double& amount) {
  return number_into<double>(amount, 0, "a number that is not negative");
}

Result<std::vector<std::string>> read_arguments(std::span<const std::string> args,
                                                const Flags& flags) {
  std::vector<std::string> operands;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (!arg.starts_with('-')) {
      operands.push_back(arg);
      continue;
    }
    const auto on = flags.switches.find(arg);
    if (on != flags.switches.end()) {
      *on->second = true;
      continue;
    }
    const auto value = flags.values.find(arg);
    if (value == flags.values.end()) return invalid("unknown option " + arg);
    if (++i == args.size()) return invalid(arg + ": its value is missing");
    TRY(value->second(arg, args[i]));
  }
  return operands;
}

int run_command(const std::vector<std::string>& args,
                const char* usage,
                std::ostream& out,
                const std::function<Status()>& work) {
  Status done = ok_status();
  try {
    done = work();
  } catch (const std::exception& e) {  // LibTorch's
    done = Error{Code::internal, e.what(), ""};
  }
  out.flush();
  if (done.ok()) {
    if (out.good()) return 0;
    std::fputs("cannot write\n", stderr);
    return 1;
  }
  std::fprintf(stderr, "%s\n", done.error().message.c_str());
  if (!done.error().hint.empty()) std::fprintf(stderr, "hint: %s\n", done.error().hint.c_str());
  if (args.empty()) std::fputs(usage, stderr);
  return 2;
}

}  // namespace llmctl

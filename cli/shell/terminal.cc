#include "cli/shell/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "cli/shell/environment.h"

namespace llmctl {

constexpr int kColumnsMin = 40, kColumnsMax = 200;  // narrower breaks ids; wider is hard to read

static bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = environment_variable(name);
    if (value.empty()) continue;  // the first one that is set decides
    return value.find("UTF-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

Terminal detect_terminal(int fd) {
  Terminal terminal;
  terminal.tty = isatty(fd) == 1;
  const std::string term = environment_variable("TERM");
  const bool dumb = term.empty() || term == "dumb";
  terminal.color = terminal.tty && !dumb && environment_variable("NO_COLOR").empty();
  terminal.unicode = locale_is_utf8() && !(terminal.tty && dumb);
  winsize size{};
  if (terminal.tty && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = std::clamp<int>(size.ws_col, kColumnsMin, kColumnsMax);
  }
  if (dumb) terminal.tty = false;  // lines only: a dumb terminal cannot redraw
  return terminal;
}

}  // namespace llmctl

// What the terminal behind a stream can do, decided once at start: width, colour, in-place drawing.
// NO_COLOR and TERM=dumb turn colour off; without a terminal there is no colour and no motion, and
// tables are 80 columns wide. Plain value; tests build their own.
#pragma once

namespace llmctl {

struct Terminal {
  bool tty = false;
  bool color = false;
  bool unicode = false;  // the locale says UTF-8: bars and sparklines in block characters
  int columns = 80;
};
Terminal detect_terminal(int fd);

}  // namespace llmctl

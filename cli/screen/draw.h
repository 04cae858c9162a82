// The pieces that lines are made of: widths, bars, sparklines, colours, ages. Pure text in, text
// out. Text that came from a job file or a worker is cleaned first: control characters would let
// it drive the reader's terminal.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/shell/terminal.h"
#include "core/base/units.h"

namespace llmctl {

std::string clean(std::string_view text);  // one line; control characters and marks
                                           // that turn text around become '?'
// The same, line by line, each behind `indent`.
std::string clean_lines(std::string_view text, std::string_view indent = "");
int columns_of(std::string_view text);  // code points; escape sequences must not be in it
std::string pad_right(std::string text, int columns);
std::string pad_left(std::string text, int columns);
// At most `columns` wide; a cut is shown by "…" ("~" without UTF-8).
std::string cut(std::string_view text, int columns, const Terminal& terminal);

std::string bar(double share, int columns, const Terminal& terminal);
std::string sparkline(std::span<const double> values, int columns, const Terminal& terminal);

enum class Tone { plain, good, warn, bad, dim, strong };
std::string paint(std::string text, Tone tone, const Terminal& terminal);
Tone tone_of_state(std::string_view job_or_worker_state);

std::string age(Millis since_ms);        // "3m", "2h", "5d": one unit, for table cells
std::string format_loss(double loss);    // "3.213"; "-" for NaN
std::string format_rate(double per_s);   // "12.4k"; "-" when unknown
std::string format_eta(double seconds);  // "1m 20s"; "-" when unknown

}  // namespace llmctl

// A text table that fits its width: columns are cut in the order of their `give` (highest first),
// columns with give 0 (ids, numbers) never. Pure; cells are already text.
#pragma once

#include <string>
#include <vector>

#include "cli/screen/draw.h"

namespace llmctl {

struct Column {
  std::string title;
  enum class Align { left, right } align = Align::left;
  int give = 0;  // 0: never cut; else cut down to 8 columns, highest first
};

struct Cell {
  std::string text;  // cleaned by the table
  Tone tone = Tone::plain;
  Cell(std::string t) : text(std::move(t)) {}  // NOLINT: implicit
  Cell(const char* t) : text(t) {}             // NOLINT: implicit
  Cell(std::string t, Tone o) : text(std::move(t)), tone(o) {}
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<Cell> row);  // Requires: as many cells as columns
  std::string text(const Terminal& terminal) const;

 private:
  std::vector<int> widths(int columns) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace llmctl

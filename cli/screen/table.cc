#include "cli/screen/table.h"

#include <algorithm>
#include <numeric>

#include "core/base/result.h"

namespace llmctl {

constexpr int kGap = 2;       // spaces between columns
constexpr int kCutLeast = 8;  // a cut column keeps at least this much

void Table::add(std::vector<Cell> row) {
  CHECK(row.size() == columns_.size());
  for (Cell& cell : row) cell.text = clean(cell.text);
  rows_.push_back(std::move(row));
}

std::vector<int> Table::widths(int columns) const {
  std::vector<int> width;
  for (size_t i = 0; i < columns_.size(); ++i) {
    int widest = columns_of(columns_[i].title);
    for (const auto& row : rows_) widest = std::max(widest, columns_of(row[i].text));
    width.push_back(widest);
  }
  std::vector<size_t> order(columns_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return columns_[a].give > columns_[b].give; });
  int excess = std::accumulate(width.begin(), width.end(), 0) +
               kGap * (static_cast<int>(width.size()) - 1) - columns;
  for (const size_t i : order) {
    if (excess <= 0 || columns_[i].give == 0) break;
    const int taken = std::clamp(excess, 0, std::max(0, width[i] - kCutLeast));
    width[i] -= taken;
    excess -= taken;
  }
  return width;
}

std::string Table::text(const Terminal& terminal) const {
  const std::vector<int> width = widths(terminal.columns);
  std::string out;
  const auto line = [&](const auto& cell_of) {
    std::string text;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const Cell cell = cell_of(i);
      std::string shown = cut(cell.text, width[i], terminal);
      const bool last = i + 1 == columns_.size();
      const std::string fill(static_cast<size_t>(width[i] - columns_of(shown)), ' ');
      shown = paint(std::move(shown), cell.tone, terminal);
      if (columns_[i].align == Column::Align::right)
        text += fill + shown;
      else
        text += last ? shown : shown + fill;
      if (!last) text += std::string(kGap, ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line([&](size_t i) { return Cell(columns_[i].title, Tone::dim); });
  for (const auto& row : rows_) line([&](size_t i) { return row[i]; });
  return out;
}

}  // namespace llmctl

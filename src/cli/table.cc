#include "cli/table.h"

#include <algorithm>
#include <utility>

namespace microagent::cli {
namespace {

// Columns of a terminal that UTF-8 text takes: its characters, as names and addresses have no wide ones.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

Table::Table(std::vector<std::string> header) {
  if (header.empty()) return;
  std::vector<Cell> row;
  for (std::string& title : header) row.emplace_back(std::move(title), Colour::bold);
  rows_.push_back(std::move(row));
}

std::string Table::render(const Output& output) const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(printable(row[i].text)));
  }

  std::string lines;
  for (const auto& row : rows_) {
    std::size_t gap = 0;  // before the next cell that has something in it
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string text = printable(row[i].text);
      if (!text.empty()) lines.append(std::exchange(gap, 0), ' ').append(output.paint(row[i].colour, text));
      gap += widths[i] - width(text) + 2;
    }
    lines += '\n';
  }
  return lines;
}

Colour colour_of_state(std::string_view state) {
  if (state == "running") return Colour::green;
  if (state == "starting" || state == "stopping") return Colour::yellow;
  if (state == "failed" || state == "quarantined" || state == "unknown") return Colour::red;
  return Colour::none;
}

}  // namespace microagent::cli

#pragma once

#include <string>
#include <vector>

#include "cli/output.h"

namespace microagent::cli {

// A cell's colour does not count for its width.
struct Cell {
  Cell(std::string words) : text(std::move(words)) {}  // NOLINT: a cell is its text
  Cell(const char* words) : text(words) {}             // NOLINT
  Cell(std::string words, Colour paint) : text(std::move(words)), colour(paint) {}
  std::string text;
  Colour colour = Colour::none;
};

// Rows with columns of the width they need, two spaces between them. Control characters are shown, not sent.
class Table {
 public:
  // Without a header the rows stand alone.
  explicit Table(std::vector<std::string> header = {});
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  std::string render(const Output& output) const;

 private:
  std::vector<std::vector<Cell>> rows_;
};

Colour colour_of_state(std::string_view state);

}  // namespace microagent::cli

#pragma once

// Writes a small database of SQLite, whole and in one go (https://www.sqlite.org/fileformat2.html): one table with a
// few rows, each of which fits into a page. To read and change it is SQLite's.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace microagent::init {

struct SqliteRow {
  std::uint32_t id = 0;
  std::vector<std::pair<std::string_view, std::string>> blobs;  // column and value; NULL where there is none
};

// The table is created as "(id PRIMARY KEY UNIQUE ON CONFLICT ABORT, COLUMNS)"; `columns` stand there with ", " in
// between, `rows` in the order of their ids. Nothing where they do not fit. `application` is the header's number of who
// has written the file.
std::optional<std::string> encode_sqlite(std::string_view table, std::string_view columns,
                                         const std::vector<SqliteRow>& rows, std::uint32_t application);

// Whether it is as encode_sqlite() wrote it for the application: SQLite counts changes.
bool is_untouched_sqlite(std::string_view file, std::uint32_t application);

// Whether a database has tables and indices, but nothing in them.
bool is_empty_sqlite(std::string_view file);

}  // namespace microagent::init

#include "init/sqlite_file.h"

#include <algorithm>

#include "base/bytes.h"
#include "init/text.h"

namespace microagent::init {
namespace {

constexpr std::size_t kPage = 4096, kHeader = 100, kLeafHeader = 8;
constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr std::uint32_t kPages = 3, kTablePage = 2, kIndexPage = 3;
constexpr std::uint8_t kTableLeaf = 0x0d, kIndexLeaf = 0x0a;
constexpr std::size_t kChangesAt = 24, kApplicationAt = 68;

struct FileHeader {
  std::uint8_t magic[16];
  be16 page_size = kPage;
  std::uint8_t write_version = 1, read_version = 1, reserved = 0;  // with a journal to roll back
  std::uint8_t most_payload = 64, least_payload = 32, leaf_payload = 32;
  be32 changes = 1, pages = kPages, free_list = 0, free_pages = 0;
  be32 schema_cookie = 1, schema_format = 4, cache_size = 0, largest_root = 0, utf8 = 1, user_version = 0;
  be32 incremental = 0, application;
  std::uint8_t unused[20] = {};
  be32 valid_for = 1, library = 3'040'001;
};
static_assert(sizeof(FileHeader) == kHeader);

template <typename Number>
void put(std::string& out, Number number) {
  const ByteView bytes = bytes_of(number);
  out.append(bytes.begin(), bytes.end());
}

void put_varint(std::string& out, std::uint64_t number) {
  std::string reversed(1, static_cast<char>(number & 0x7f));
  while (number >>= 7) reversed += static_cast<char>((number & 0x7f) | 0x80);
  out.append(reversed.rbegin(), reversed.rend());
}

// A record: a header with the type of each value, and the values.
class Record {
 public:
  void put_null() { put_varint(types_, 0); }
  void put_number(std::uint32_t number) {  // in four bytes, with a sign
    put_varint(types_, 4);
    put(values_, be32(number));
  }
  void put_rowid(std::uint8_t number) {
    put_varint(types_, 1);
    values_ += static_cast<char>(number);
  }
  void put_blob(std::string_view blob) { put_bytes(blob, 12); }
  void put_text(std::string_view text) { put_bytes(text, 13); }

  std::string finish() const {
    // The header's size counts itself: in one byte, or two.
    const std::size_t size = types_.size() + 1 < 0x80 ? types_.size() + 1 : types_.size() + 2;
    std::string record;
    put_varint(record, size);
    return record + types_ + values_;
  }

 private:
  void put_bytes(std::string_view bytes, std::size_t kind) {
    put_varint(types_, 2 * bytes.size() + kind);
    values_ += bytes;
  }

  std::string types_, values_;
};

// A leaf page, whose cells grow down from its end towards the list of their places.
class Leaf {
 public:
  Leaf(std::uint8_t kind, std::string_view before) : kind_(kind), before_(before) {}

  void add(std::string cell) {
    used_ += cell.size();
    cells_.push_back(std::move(cell));
  }

  std::optional<std::string> finish() const {
    const std::size_t front = before_.size() + kLeafHeader + 2 * cells_.size();
    if (front + used_ > kPage) return std::nullopt;
    std::string page(before_), places, content;
    for (const std::string& cell : cells_) {
      content.insert(0, cell);
      put(places, be16(static_cast<std::uint16_t>(kPage - content.size())));
    }
    page += static_cast<char>(kind_);
    put(page, be16(0));  // no free block
    put(page, be16(static_cast<std::uint16_t>(cells_.size())));
    put(page, be16(static_cast<std::uint16_t>(kPage - used_)));
    page += '\0';  // no fragments
    page += places;
    page.resize(kPage - used_);
    return page + content;
  }

 private:
  std::uint8_t kind_;
  std::string before_;
  std::vector<std::string> cells_;
  std::size_t used_ = 0;
};

std::string table_cell(std::uint8_t rowid, const std::string& record) {
  std::string cell;
  put_varint(cell, record.size());
  put_varint(cell, rowid);
  return cell + record;
}

std::string index_cell(const std::string& record) {
  std::string cell;
  put_varint(cell, record.size());
  return cell + record;
}

std::string file_header(std::uint32_t application) {
  FileHeader header{};
  std::ranges::copy(kMagic, header.magic);
  header.application = application;
  std::string bytes;
  put(bytes, header);
  return bytes;
}

// What there is: the table, and the index of its key.
std::optional<std::string> encode_schema(std::string_view table, std::string_view columns, std::uint32_t application) {
  Record of_table, of_index;
  for (const std::string_view text : {std::string_view("table"), table, table}) of_table.put_text(text);
  of_table.put_number(kTablePage);
  of_table.put_text(concat("CREATE TABLE ", table, " (id PRIMARY KEY UNIQUE ON CONFLICT ABORT, ", columns, ")"));
  const std::string name = concat("sqlite_autoindex_", table, "_1");
  for (const std::string_view text : {std::string_view("index"), std::string_view(name), table})
    of_index.put_text(text);
  of_index.put_number(kIndexPage);
  of_index.put_null();
  Leaf leaf(kTableLeaf, file_header(application));
  leaf.add(table_cell(1, of_table.finish()));
  leaf.add(table_cell(2, of_index.finish()));
  return leaf.finish();
}

std::string encode_row(const SqliteRow& row, std::string_view columns) {
  Record record;
  record.put_number(row.id);
  while (!columns.empty()) {
    const std::string_view column = columns.substr(0, columns.find(", "));
    columns.remove_prefix(std::min(columns.size(), column.size() + 2));
    const auto found = std::ranges::find(row.blobs, column, &std::pair<std::string_view, std::string>::first);
    if (found == row.blobs.end()) record.put_null();
    else record.put_blob(found->second);
  }
  return record.finish();
}

template <typename Number>
Number number_at(std::string_view file, std::size_t place) {
  Number number{};
  std::ranges::copy(file.substr(place, sizeof number), reinterpret_cast<char*>(&number));
  return number;
}

}  // namespace

std::optional<std::string> encode_sqlite(std::string_view table, std::string_view columns,
                                         const std::vector<SqliteRow>& rows, std::uint32_t application) {
  Leaf leaf(kTableLeaf, ""), index(kIndexLeaf, "");
  std::uint8_t rowid = 0;
  for (const SqliteRow& row : rows) {
    Record key;
    key.put_number(row.id);
    key.put_rowid(++rowid);
    leaf.add(table_cell(rowid, encode_row(row, columns)));
    index.add(index_cell(key.finish()));
  }
  const auto first = encode_schema(table, columns, application), second = leaf.finish(), third = index.finish();
  if (!first || !second || !third) return std::nullopt;
  return *first + *second + *third;
}

bool is_untouched_sqlite(std::string_view file, std::uint32_t application) {
  return file.size() == kPages * kPage && file.starts_with(kMagic) &&
         number_at<be32>(file, kApplicationAt) == application && number_at<be32>(file, kChangesAt) == 1;
}

bool is_empty_sqlite(std::string_view file) {
  if (file.size() < 2 * kPage || file.size() % kPage != 0 || !file.starts_with(kMagic)) return false;
  if (number_at<be16>(file, kMagic.size()) != kPage) return false;
  for (std::size_t page = kPage; page < file.size(); page += kPage) {
    const auto kind = static_cast<std::uint8_t>(file[page]);
    if (kind != kTableLeaf && kind != kIndexLeaf) return false;
    if (number_at<be16>(file, page + 3) != 0) return false;
  }
  return true;
}

}  // namespace microagent::init

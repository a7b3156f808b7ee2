#include "store/metrics_journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/atomic_file.hpp"
#include "core/digest.hpp"
#include "core/error.hpp"
#include "store/input_file.hpp"
#include "store/write_error.hpp"
#include "store/write_file.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

namespace {

static_assert(std::endian::native == std::endian::little, "numbers are stored as they lie in memory");

constexpr int journal_version = 1;
constexpr std::size_t check_bytes = 8;
constexpr std::size_t first_train_row_bytes = 13 * 8;  // rows of releases without stages end there

/// Begins a record; its payload and its check follow.
struct RecordHead {
  std::uint32_t payload_bytes;
  std::uint32_t kind;  ///< index of the JournalEntry, from 1
  std::int64_t number;
};
static_assert(sizeof(RecordHead) == 16);

std::string header_text(std::size_t classes) {
  return fmt::format("fcmnist_mpi journal format_version {} classes {}\n", journal_version, classes);
}

/// The first bytes of the SHA-256 of head and payload.
std::array<std::byte, check_bytes> check_of(std::span<const std::byte> head_and_payload) {
  const std::string hex = sha256_hex(head_and_payload);
  std::array<std::byte, check_bytes> check{};
  for (std::size_t i = 0; i < check_bytes; ++i) {
    unsigned value = 0;
    std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, value, 16);
    check[i] = static_cast<std::byte>(value);
  }
  return check;
}

template <class T>
void put(std::vector<std::byte>& out, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  const auto bytes = std::as_bytes(std::span(&value, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <class T>
T take(std::span<const std::byte>& in) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, in.data(), sizeof value);
  in = in.subspan(sizeof value);
  return value;
}

template <class Row>
constexpr std::size_t column_bytes() {
  std::size_t bytes = 0;
  for_each_column(static_cast<const Row*>(nullptr), [&](const char*, auto member, const char*, const char*) {
    bytes += sizeof(std::declval<Row>().*member);
  });
  return bytes;
}

/// Payloads: what is in them, their size, and back.
template <class Row>
void put_columns(std::vector<std::byte>& out, const Row& row) {
  for_each_column(&row, [&](const char*, auto member, const char*, const char*) { put(out, row.*member); });
}
void put_payload(std::vector<std::byte>& out, const TrainRow& row) {
  put_columns(out, row);
  put(out, static_cast<std::int64_t>(row.stage_busy_s.size()));
  for (const double busy_s : row.stage_busy_s) put(out, busy_s);
}
void put_payload(std::vector<std::byte>& out, const EvalRow& row) {
  put_columns(out, row);
  for (const std::int64_t count : row.confusion) put(out, count);
}
void put_payload(std::vector<std::byte>& out, const ForgetAfter& entry) { put(out, entry.step); }

/// The last columns are 0 when there is nothing left of `in`.
template <class Row>
Row take_columns(std::span<const std::byte>& in) {
  Row row;
  for_each_column(&row, [&](const char*, auto member, const char*, const char*) {
    if (!in.empty()) row.*member = take<std::decay_t<decltype(row.*member)>>(in);
  });
  return row;
}

std::optional<TrainRow> take_train_row(std::span<const std::byte> in) {
  if (in.size() == first_train_row_bytes) return take_columns<TrainRow>(in);
  if (in.size() < column_bytes<TrainRow>() + sizeof(std::int64_t)) return std::nullopt;
  auto row = take_columns<TrainRow>(in);
  const auto stages = take<std::int64_t>(in);
  if (in.size() % sizeof(double) != 0 ||
      stages != std::ssize(in) / static_cast<std::int64_t>(sizeof(double))) {
    return std::nullopt;
  }
  while (!in.empty()) row.stage_busy_s.push_back(take<double>(in));
  return row;
}

/// Nothing if there is no such kind, or its payload has another size.
std::optional<JournalEntry> take_payload(std::uint32_t kind, std::span<const std::byte> in,
                                         std::size_t classes) {
  const std::size_t cells = classes * classes;
  if (kind == 1) return take_train_row(in);
  if (kind == 2 && in.size() == column_bytes<EvalRow>() + cells * sizeof(std::int64_t)) {
    EvalRow row = take_columns<EvalRow>(in);
    for (std::size_t i = 0; i < cells; ++i) row.confusion.push_back(take<std::int64_t>(in));
    return row;
  }
  if (kind == 3 && in.size() == sizeof(std::int64_t)) return ForgetAfter{take<std::int64_t>(in)};
  return std::nullopt;
}

struct Record {
  std::int64_t number = 0;
  JournalEntry entry;
  std::size_t bytes = 0;
};

/// The record that begins here, if it is intact and the one after number `before` (0: any).
std::optional<Record> read_record(std::span<const std::byte> in, std::int64_t before, std::size_t classes) {
  if (in.size() < sizeof(RecordHead)) return std::nullopt;
  auto rest = in;
  const auto head = take<RecordHead>(rest);
  if (rest.size() < head.payload_bytes + check_bytes) return std::nullopt;
  if (head.number < 1 || (before != 0 && head.number != before + 1)) return std::nullopt;
  const auto check = check_of(in.first(sizeof head + head.payload_bytes));
  if (std::memcmp(check.data(), rest.data() + head.payload_bytes, check_bytes) != 0) return std::nullopt;
  auto entry = take_payload(head.kind, rest.first(head.payload_bytes), classes);
  if (!entry) return std::nullopt;
  return Record{head.number, *std::move(entry), sizeof head + head.payload_bytes + check_bytes};
}

/// How many bytes the records up to a number have; `records` are our own, so intact.
std::size_t bytes_up_to(std::int64_t number, std::span<const std::byte> records) {
  auto rest = records;
  while (!rest.empty()) {
    auto in = rest;
    const auto head = take<RecordHead>(in);
    if (head.number > number) break;
    rest = rest.subspan(sizeof head + head.payload_bytes + check_bytes);
  }
  return records.size() - rest.size();
}

std::vector<std::byte> read_whole(const fs::path& path) {
  InputFile file(path);
  if (!file.regular()) {
    throw StoreError(fmt::format("{}: found a directory or a device, expected a journal", path.string()),
                     "move it away; the journal of the metrics stands there");
  }
  std::vector<std::byte> bytes(file.size());
  bytes.resize(file.read(bytes));
  return bytes;
}

/// The bytes of a journal of these records.
std::vector<std::byte> with_header(std::size_t classes, std::span<const std::byte> records) {
  const std::string header = header_text(classes);
  const auto text = std::as_bytes(std::span(header));
  std::vector<std::byte> bytes(text.begin(), text.end());
  bytes.insert(bytes.end(), records.begin(), records.end());
  return bytes;
}

}  // namespace

MetricsJournal::MetricsJournal(fs::path path, std::size_t classes)
    : path_(std::move(path)), classes_(classes) {}

std::vector<JournalEntry> MetricsJournal::read(std::int64_t known, Logger& log) {
  newest_ = known;
  std::error_code error;
  if (!fs::exists(path_, error) && !error) return {};
  const std::vector<std::byte> bytes = read_whole(path_);
  const std::string header = header_text(classes_);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (header.starts_with(text)) return {};  // killed before a record was whole: nothing is in it
  if (!text.starts_with(header)) {
    log.warn("{}: not a journal of this run; it is now called {}", path_.string(),
             rename_damaged(path_).filename().string());
    return {};
  }
  std::vector<JournalEntry> entries;
  std::size_t at = header.size();
  std::int64_t last = 0;
  while (auto record = read_record(std::span(bytes).subspan(at), last, classes_)) {
    at += record->bytes;
    last = record->number;
    if (last > known) entries.push_back(std::move(record->entry));
  }
  if (at < bytes.size()) {
    log.warn("{}: its last {} of {} bytes are torn or damaged; what is before them is used", path_.string(),
             bytes.size() - at, bytes.size());
  }
  newest_ = std::max(known, last);
  file_bytes_ = last > known ? at : 0;  // all of it is in the metrics file: begun anew
  return entries;
}

void MetricsJournal::add(const JournalEntry& entry) {
  std::vector<std::byte> payload;
  std::visit([&](const auto& what) { put_payload(payload, what); }, entry);
  const std::size_t begin = records_.size();
  put(records_, RecordHead{static_cast<std::uint32_t>(payload.size()),
                           static_cast<std::uint32_t>(entry.index() + 1), ++newest_});
  records_.insert(records_.end(), payload.begin(), payload.end());
  put(records_, check_of(std::span(records_).subspan(begin)));
}

void MetricsJournal::open_for_append() {
  file_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file_) throw_write_error("open", path_, errno);
  // What lies behind the intact records must not come to life again behind new ones.
  if (::ftruncate(file_.get(), static_cast<off_t>(file_bytes_)) != 0) {
    const int error_number = errno;
    file_ = {};
    throw_write_error("truncate", path_, error_number);
  }
}

void MetricsJournal::append() {
  if (appended_ == records_.size()) return;
  if (!file_) open_for_append();
  std::span<const std::byte> bytes = std::span(records_).subspan(appended_);
  std::vector<std::byte> first;
  if (file_bytes_ == 0) bytes = first = with_header(classes_, bytes);
  if (const int error_number = write_all_at(file_.get(), bytes, file_bytes_)) {
    file_ = {};  // opened anew the next time, which cuts off what was written of these
    open_for_append();
    throw_write_error("write", path_, error_number);
  }
  file_bytes_ += bytes.size();
  appended_ = records_.size();
}

void MetricsJournal::sync() const {
  // A descriptor of its own, so that the thread of append() and cut() is in nobody's way.
  const FileDescriptor file(::open(path_.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file && errno == ENOENT) return;  // no entries
  if (!file) throw_write_error("open", path_, errno);
  if (const int error_number = sync_to_disk(file.get())) throw_write_error("fsync", path_, error_number);
  sync_directory_of(path_, &throw_write_error);
}

void MetricsJournal::cut(std::int64_t up_to) {
  const std::size_t gone = bytes_up_to(up_to, records_);
  std::size_t left_bytes = 0;
  if (gone < records_.size()) {
    const auto left = with_header(classes_, std::span(records_).subspan(gone));
    replace_file(path_, left);
    left_bytes = left.size();
  } else if (::unlink(path_.c_str()) != 0 && errno != ENOENT) {
    throw_write_error("delete", path_, errno);
  }
  records_.erase(records_.begin(), records_.begin() + static_cast<std::ptrdiff_t>(gone));
  appended_ = records_.size();
  file_bytes_ = left_bytes;
  file_ = {};  // of the file that was
}

}  // namespace fcmnist::store

#include "store/metrics_journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "store/input_file.hpp"
#include "store/write_error.hpp"
#include "store/write_file.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

namespace {

std::vector<std::byte> read_whole(const fs::path& path) {
  InputFile file(path);
  if (!file.regular()) {
    throw StoreError(fmt::format("{}: found a directory or a device, expected a journal", path.string()),
                     "move it away; the journal of the metrics stands there");
  }
  std::vector<std::byte> bytes(file.size());
  bytes.resize(file.read_at(0, bytes));
  return bytes;
}

/// The header that a journal has, or should have: that of its version if it can be read.
std::string header_of(std::string_view journal, std::size_t classes) {
  for (int version = 1; version < journal_version; ++version) {
    if (std::string header = journal_header(classes, version); journal.starts_with(header)) return header;
  }
  return journal_header(classes);
}

/// The bytes of a journal of these records.
std::vector<std::byte> with_header(std::size_t classes, std::span<const std::byte> records) {
  const std::string header = journal_header(classes);
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
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string header = header_of(text, classes_);
  if (header.starts_with(text)) return {};  // a process was killed before it had written a record
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
  if (last > known && header != journal_header(classes_)) {  // what follows is of this version
    const std::size_t begin = header.size();
    const auto now = with_header(classes_, std::span(bytes).subspan(begin, at - begin));
    replace_file(path_, now);
    at = now.size();
  }
  newest_ = std::max(known, last);
  file_bytes_ = last > known ? at : 0;  // 0 begins it anew: the metrics file has all of it
  return entries;
}

void MetricsJournal::add(const JournalEntry& entry) { put_record(records_, ++newest_, entry); }

void MetricsJournal::open_for_append() {
  file_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file_) throw_write_error("open", path_, errno);
  // Records behind the intact ones must not be read again behind new ones.
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
    file_ = {};  // opening the file anew cuts off the part of these records that was written
    open_for_append();
    throw_write_error("write", path_, error_number);
  }
  file_bytes_ += bytes.size();
  appended_ = records_.size();
}

void MetricsJournal::sync() const {
  // This thread has a descriptor of its own, since another thread may be in append() or cut().
  const FileDescriptor file(::open(path_.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file && errno == ENOENT) return;  // there are no entries
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
  file_ = {};  // the descriptor is that of the old file
}

}  // namespace fcmnist::store

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/file_descriptor.hpp"
#include "core/log.hpp"
#include "store/journal_record.hpp"

/// Internal to MetricsFile.
namespace fcmnist::store {

/// A write-ahead journal: it holds what has happened to the metrics since their file was last written, so
/// that a run that is killed loses nothing that was appended. FORMAT.md describes its bytes.
///
/// Entries are numbered from 1 over the whole life of a run. The metrics file says up to which number it
/// holds them. So a journal is read rightly whether or not it was cut after the file was written.
class MetricsJournal {
 public:
  MetricsJournal(std::filesystem::path path, std::size_t classes);

  /// Reads what an earlier process left. Call it once, before everything else. Returns the entries after
  /// number `known`; new entries get higher numbers. A journal that is damaged counts up to its last intact
  /// record, with a warning. A journal of another kind or number of classes is renamed to
  /// "<path>.damaged-<n>". Throws StoreError if it cannot be read.
  std::vector<JournalEntry> read(std::int64_t known, Logger& log);

  /// Remembers an entry; append() writes it.
  void add(const JournalEntry& entry);
  /// The number of the newest entry; 0 if there is none.
  [[nodiscard]] std::int64_t newest() const { return newest_; }

  /// Appends the entries that were added since the last call, in one write, without waiting for the disk.
  /// Throws StoreError; the file then ends where it ended, and the next call tries the same entries again.
  void append();
  /// Waits until all appended entries are on the disk. Another thread may call it while one uses the other
  /// functions.
  void sync() const;
  /// Removes the entries up to this number, which the metrics file holds. A journal without entries has no
  /// file. It does not wait for the disk. Throws StoreError; the file is then as it was, which does no harm.
  void cut(std::int64_t up_to);

 private:
  void open_for_append();

  std::filesystem::path path_;
  std::size_t classes_;
  std::int64_t newest_ = 0;
  std::vector<std::byte> records_;  ///< records of this process that are not cut yet
  std::size_t appended_ = 0;        ///< bytes of records_ that are in the file
  std::size_t file_bytes_ = 0;      ///< intact bytes of the file; 0 if there is no file
  FileDescriptor file_;             ///< open after something was appended
};

}  // namespace fcmnist::store

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

/// A write-ahead journal: what has happened to the metrics since their file was last written, so that a run
/// that is killed loses nothing that was appended. FORMAT.md has its bytes.
///
/// Entries are numbered from 1 over the whole life of a run. The metrics file says up to which number it
/// holds them, so that a journal beside it is read rightly whether or not it was cut in time, and whatever is
/// missing between the two.
class MetricsJournal {
 public:
  MetricsJournal(std::filesystem::path path, std::size_t classes);

  /// Reads what an earlier process left; to be called once, first. Returns the entries after number `known`,
  /// and numbers new ones behind all of them. The journal ends before the first record that is not intact,
  /// with a warning; one that is of another kind or number of classes is renamed to "<path>.damaged-<n>".
  /// Throws StoreError if it cannot be read.
  std::vector<JournalEntry> read(std::int64_t known, Logger& log);

  /// Remembers an entry, for append().
  void add(const JournalEntry& entry);
  /// Number of the newest entry; 0 if there is none.
  [[nodiscard]] std::int64_t newest() const { return newest_; }

  /// Appends to the file what was added since the last time, in one write; does not wait for the disk. Throws
  /// StoreError; the file then ends where it did, and the next call tries the same entries again.
  void append();
  /// Waits until what was appended is on the disk. May run in another thread than all the other functions, at
  /// the same time.
  void sync() const;
  /// Forgets the entries up to this number: the metrics file holds them. A journal without entries is no
  /// file. Does not wait for the disk. Throws StoreError; the file is then as it was, which is as good.
  void cut(std::int64_t up_to);

 private:
  void open_for_append();

  std::filesystem::path path_;
  std::size_t classes_;
  std::int64_t newest_ = 0;
  std::vector<std::byte> records_;  ///< of this process, not cut yet
  std::size_t appended_ = 0;        ///< bytes of them that are in the file
  std::size_t file_bytes_ = 0;      ///< intact bytes of the file; 0: there is none
  FileDescriptor file_;             ///< open once something was appended
};

}  // namespace fcmnist::store

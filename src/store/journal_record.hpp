#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "store/metrics_rows.hpp"
#include "store/rank_rows.hpp"

/// The bytes of a metrics journal, as FORMAT.md has them. Internal to MetricsJournal.
namespace fcmnist::store {

/// The rows of later steps are forgotten, in all tables.
struct ForgetAfter {
  std::int64_t step = 0;
  bool operator==(const ForgetAfter&) const = default;
};

/// What may happen to the metrics.
using JournalEntry =
    std::variant<TrainRow, EvalRow, ForgetAfter, RankRow, ArrayRow, ValidationRow, TrainedRow>;

/// The version that is written, and the newest that is read.
inline constexpr int journal_version = 5;

/// The line of text that begins a journal; records follow.
std::string journal_header(std::size_t classes, int version = journal_version);

/// Appends the record of an entry.
void put_record(std::vector<std::byte>& out, std::int64_t number, const JournalEntry& entry);

struct JournalRecord {
  std::int64_t number = 0;
  JournalEntry entry;
  std::size_t bytes = 0;  ///< length of the record
};

/// The record at the beginning of `in`. Nothing if it is not intact, or if it is not the one after number
/// `before` (0: it may have any number).
std::optional<JournalRecord> read_record(std::span<const std::byte> in, std::int64_t before,
                                         std::size_t classes);

/// How many bytes the records up to a number have. `records` are our own, so they are intact.
std::size_t bytes_up_to(std::int64_t number, std::span<const std::byte> records);

}  // namespace fcmnist::store

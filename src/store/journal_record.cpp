#include "store/journal_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "core/digest.hpp"

namespace fcmnist::store {

namespace {

static_assert(std::endian::native == std::endian::little, "numbers are stored as they lie in memory");

constexpr std::size_t check_bytes = 8;
constexpr std::size_t first_train_row_bytes = 13 * 8;  // length of a row in releases without stages

constexpr std::uint32_t first_rank_row_kind = 4;  // rows of journals before version 5, without exposed_s
constexpr std::uint32_t rank_row_kind = 8;

/// The beginning of a record. Its payload and its check follow.
struct RecordHead {
  std::uint32_t payload_bytes;
  std::uint32_t kind;  ///< see kind_of()
  std::int64_t number;
};
static_assert(sizeof(RecordHead) == 16);

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

// The functions below write a payload, tell its size, and read it.
template <class Row>
void put_columns(std::vector<std::byte>& out, const Row& row) {
  for_each_column(&row, [&](const char*, auto member, const char*, const char*) { put(out, row.*member); });
}
void put_payload(std::vector<std::byte>& out, const TrainRow& row) {
  put_columns(out, row);
  put(out, static_cast<std::int64_t>(row.stage_busy_s.size()));
  for (const double busy_s : row.stage_busy_s) put(out, busy_s);
  for (const float norm : row.grad_norm_by_array) put(out, norm);
}
void put_payload(std::vector<std::byte>& out, const EvalRow& row) {
  put_columns(out, row);
  for (const std::int64_t count : row.confusion) put(out, count);
  const auto predicted = std::as_bytes(std::span(row.predicted));
  out.insert(out.end(), predicted.begin(), predicted.end());
}
void put_payload(std::vector<std::byte>& out, const ValidationRow& row) { put_payload(out, row.scores); }
void put_payload(std::vector<std::byte>& out, const TrainedRow& row) { put_payload(out, row.scores); }
void put_payload(std::vector<std::byte>& out, const ForgetAfter& entry) { put(out, entry.step); }
void put_payload(std::vector<std::byte>& out, const RankRow& row) {
  put(out, row.step);
  put(out, static_cast<std::int64_t>(row.is_summary));
  for (const RankTime& rank : row.ranks) put(out, rank);
}

void put_payload(std::vector<std::byte>& out, const ArrayRow& row) {
  put(out, row.step);
  for (const float norm : row.weight_norm) put(out, norm);
  for (const float norm : row.update_norm) put(out, norm);
}

/// Columns for which `in` has no bytes left are 0.
template <class Row>
Row take_columns(std::span<const std::byte>& in) {
  Row row;
  for_each_column(&row, [&](const char*, auto member, const char*, const char*) {
    if (!in.empty()) row.*member = take<std::decay_t<decltype(row.*member)>>(in);
  });
  return row;
}

/// In version 1 of the journal nothing follows the times of the stages.
std::optional<TrainRow> take_train_row(std::span<const std::byte> in) {
  if (in.size() == first_train_row_bytes) return take_columns<TrainRow>(in);
  if (in.size() < column_bytes<TrainRow>() + sizeof(std::int64_t)) return std::nullopt;
  auto row = take_columns<TrainRow>(in);
  const auto stages = take<std::int64_t>(in);
  if (stages < 0 || stages > std::ssize(in) / static_cast<std::int64_t>(sizeof(double))) return std::nullopt;
  for (std::int64_t s = 0; s < stages; ++s) row.stage_busy_s.push_back(take<double>(in));
  if (in.size() % sizeof(float) != 0) return std::nullopt;
  while (!in.empty()) row.grad_norm_by_array.push_back(take<float>(in));
  return row;
}

/// In version 1 of the journal nothing follows the confusion matrix.
std::optional<EvalRow> take_eval_row(std::span<const std::byte> in, std::size_t classes) {
  const std::size_t cells = classes * classes;
  if (in.size() < column_bytes<EvalRow>() + cells * sizeof(std::int64_t)) return std::nullopt;
  EvalRow row = take_columns<EvalRow>(in);
  for (std::size_t i = 0; i < cells; ++i) row.confusion.push_back(take<std::int64_t>(in));
  row.predicted.resize(in.size());
  std::ranges::copy(in, std::as_writable_bytes(std::span(row.predicted)).begin());
  if (std::ranges::any_of(row.predicted, [&](std::uint8_t one) { return one >= classes; }))
    return std::nullopt;
  return row;
}

std::optional<RankRow> take_rank_row(std::span<const std::byte> in, bool has_exposed) {
  static_assert(sizeof(RankTime) == 8 * sizeof(float), "the columns, without gaps");
  static_assert(offsetof(RankTime, exposed_s) == 7 * sizeof(float), "the last column");
  const std::size_t rank_bytes = sizeof(RankTime) - (has_exposed ? 0 : sizeof(float));
  if (in.size() < 2 * sizeof(std::int64_t)) return std::nullopt;
  RankRow row;
  row.step = take<std::int64_t>(in);
  const auto is_summary = take<std::int64_t>(in);
  if (is_summary < 0 || is_summary > 1 || in.empty() || in.size() % rank_bytes != 0) return std::nullopt;
  row.is_summary = is_summary == 1;
  for (; !in.empty(); in = in.subspan(rank_bytes)) {
    RankTime& time = row.ranks.emplace_back();
    time.exposed_s = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(&time, in.data(), rank_bytes);
  }
  return row;
}

std::optional<ArrayRow> take_array_row(std::span<const std::byte> in) {
  if (in.size() < sizeof(std::int64_t)) return std::nullopt;
  ArrayRow row{take<std::int64_t>(in), {}, {}};
  if (in.empty() || in.size() % (2 * sizeof(float)) != 0) return std::nullopt;
  const std::size_t arrays = in.size() / (2 * sizeof(float));
  for (std::size_t i = 0; i < arrays; ++i) row.weight_norm.push_back(take<float>(in));
  for (std::size_t i = 0; i < arrays; ++i) row.update_norm.push_back(take<float>(in));
  return row;
}

/// Nothing if there is no such kind, or if its payload cannot be one of it.
std::optional<JournalEntry> take_payload(std::uint32_t kind, std::span<const std::byte> in,
                                         std::size_t classes) {
  if (kind == 1) return take_train_row(in);
  if (kind == 2) return take_eval_row(in, classes);
  if (kind == 3 && in.size() == sizeof(std::int64_t)) return ForgetAfter{take<std::int64_t>(in)};
  if (kind == first_rank_row_kind || kind == rank_row_kind) return take_rank_row(in, kind == rank_row_kind);
  if (kind == 5) return take_array_row(in);
  if (kind == 6) {
    if (auto scores = take_eval_row(in, classes)) return ValidationRow{*std::move(scores)};
  }
  if (kind == 7) {
    if (auto scores = take_eval_row(in, classes)) return TrainedRow{*std::move(scores)};
  }
  return std::nullopt;
}

/// The number of a kind in FORMAT.md: the place in JournalEntry, from 1, but for the rows of ranks.
std::uint32_t kind_of(const JournalEntry& entry) {
  return std::holds_alternative<RankRow>(entry) ? rank_row_kind
                                                : static_cast<std::uint32_t>(entry.index() + 1);
}

}  // namespace

std::string journal_header(std::size_t classes, int version) {
  return fmt::format("fcmnist_mpi journal format_version {} classes {}\n", version, classes);
}

void put_record(std::vector<std::byte>& out, std::int64_t number, const JournalEntry& entry) {
  std::vector<std::byte> payload;
  std::visit([&](const auto& what) { put_payload(payload, what); }, entry);
  const std::size_t begin = out.size();
  put(out, RecordHead{static_cast<std::uint32_t>(payload.size()), kind_of(entry), number});
  out.insert(out.end(), payload.begin(), payload.end());
  put(out, check_of(std::span(out).subspan(begin)));
}

std::optional<JournalRecord> read_record(std::span<const std::byte> in, std::int64_t before,
                                         std::size_t classes) {
  if (in.size() < sizeof(RecordHead)) return std::nullopt;
  auto rest = in;
  const auto head = take<RecordHead>(rest);
  if (rest.size() < head.payload_bytes + check_bytes) return std::nullopt;
  if (head.number < 1 || (before != 0 && head.number != before + 1)) return std::nullopt;
  const auto check = check_of(in.first(sizeof head + head.payload_bytes));
  if (std::memcmp(check.data(), rest.data() + head.payload_bytes, check_bytes) != 0) return std::nullopt;
  auto entry = take_payload(head.kind, rest.first(head.payload_bytes), classes);
  if (!entry) return std::nullopt;
  return JournalRecord{head.number, *std::move(entry), sizeof head + head.payload_bytes + check_bytes};
}

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

}  // namespace fcmnist::store

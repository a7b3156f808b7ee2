// A metrics journal, in one of two ways.
//
// Input that begins like a journal is taken for the file, so that its text line and the lengths of its
// records are searched; a record that was changed ends the journal, since its digest no longer fits.
//
// Any other input is a series of records, of which each is written with the right length, number and digest:
// a sound journal with unexpected content.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "core/digest.hpp"
#include "fuzz/fuzz.hpp"
#include "store/metrics_file.hpp"
#include "store/model_dir.hpp"

namespace fcmnist::store {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t classes = 2;
constexpr std::string_view first_line = "fcmnist_mpi journal format_version 3 classes 2\n";

/// A directory in memory, gone at the end of the process.
class Directory {
 public:
  Directory() : path_(fmt::format("/dev/shm/fcmnist_fuzz_{}", ::getpid())) {
    std::filesystem::create_directories(path_);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() {
    std::error_code gone;
    std::filesystem::remove_all(path_, gone);
  }
  void clear() const {
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      std::filesystem::remove(entry.path());
  }
  [[nodiscard]] ModelDir model_dir() const { return ModelDir(path_); }

 private:
  std::filesystem::path path_;
};

template <class T>
void put(std::string& out, T number) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &number, sizeof(T));
  out.append(bytes, sizeof(T));
}

/// Each record is a byte for its kind, a byte for its length, and so many bytes of payload; a missing payload
/// is zeros.
std::string cook(Bytes input) {
  std::string text(first_line);
  for (std::int64_t number = 1; input.size() >= 2; ++number) {
    const std::uint8_t kind = input[0], length = input[1];
    input = input.subspan(2);
    const Bytes given = input.first(std::min<std::size_t>(length, input.size()));
    input = input.subspan(given.size());
    std::string record;
    put(record, std::uint32_t{length});
    put(record, std::uint32_t{kind});
    put(record, number);
    record.append(fuzz::as_text(given));
    record.resize(16 + std::size_t{length});
    const std::string digest = sha256_hex(std::as_bytes(std::span(record)));
    for (int i = 0; i < 8; ++i) record += static_cast<char>(std::stoi(digest.substr(2 * i, 2), nullptr, 16));
    text += record;
  }
  return text;
}

/// Whatever the journal says, what is merged is a table with increasing steps that can be written and added
/// to.
void open(const ModelDir& model_dir, std::string_view journal) {
  static const std::shared_ptr<Logger> log = make_logger("error", true);
  std::ofstream(model_dir.journal_file(), std::ios::binary) << journal;
  MetricsFile metrics =
      MetricsFile::open_or_create(model_dir.metrics_file(), classes, "model:\n", Manifest(), *log);
  const auto increasing = [](const auto& rows) {
    return std::ranges::adjacent_find(rows, [](const auto& a, const auto& b) { return a.step >= b.step; }) ==
           rows.end();
  };
  FCMNIST_CHECK(increasing(metrics.train()) && increasing(metrics.eval()) &&
                    increasing(metrics.validation()) && increasing(metrics.ranks()),
                "steps do not increase");
  static_cast<void>(metrics.image());
  metrics.truncate_after(7);
  metrics.append(TrainRow{.step = 8});
  metrics.journal();
}

}  // namespace
}  // namespace fcmnist::store

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fcmnist::store;
  static const Directory directory;
  directory.clear();
  const Bytes input(data, size);
  const std::string_view text = fcmnist::fuzz::as_text(input);
  open(directory.model_dir(), text.starts_with("fcmnist_mpi ") ? std::string(text) : cook(input));
  return 0;
}

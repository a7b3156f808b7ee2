#include "data/fetch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "data/claimed_directory.hpp"
#include "data/data_dir.hpp"
#include "data/dataset_files.hpp"
#include "data/gz_file.hpp"

namespace fcmnist::data {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void throw_write_error(std::string_view call, const fs::path& path, int error_number) {
  throw DataError(errno_message(fmt::format("cannot {}", call), path.native(), error_number),
                  "check that data_dir can be written and that its disk is not full");
}

void check_is_of_set(const fs::path& file, const KnownSet& known, const DownloadLimits& limits) {
  const KnownFile* same_name = known.find(file);
  std::string found = "a file of another set";
  if (same_name != nullptr) {
    const std::string sha256 = content_sha256(file, limits.max_content_bytes);
    if (sha256 == same_name->sha256) return;
    found = "SHA-256 " + sha256;
  }
  throw file_error(
      file, "content", found,
      fmt::format("{}{}, because other files of {} are missing and about to be fetched", known.name,
                  same_name != nullptr ? " (SHA-256 " + same_name->sha256 + ")" : "", known.name),
      fmt::format("sets are never mixed: put the missing files of your own set beside this one, or name an "
                  "empty directory as data_dir to get {}, or delete this file if it is a damaged one of {}",
                  known.name, known.name));
}

/// Where the files of the set belong: beside those that are there, else in data_dir. Throws what locate()
/// throws if other things lie there: then the user meant them, and not this set.
fs::path target_directory(const InputOptions& options) {
  const fs::path place = place_of_set(options.data_dir, section_of(options.split));
  if (place.empty() && !is_vacant(options.data_dir)) locate(options);
  return place.empty() ? fs::path(options.data_dir) : place;
}

std::vector<KnownFile> missing_files(const fs::path& directory, const KnownSet& known) {
  const auto files = idx_files_in(directory);
  std::vector<KnownFile> missing;
  for (const KnownFile& wanted : known.files) {
    const bool is_here = std::any_of(files.begin(), files.end(), [&](const fs::path& file) {
      return canonical_name(file) == wanted.name;
    });
    if (!is_here) missing.push_back(wanted);
  }
  return missing;
}

/// Whether only the process with the lock of data_dir writes a file of this name.
bool is_file_of(const KnownSet& known, std::string_view name) {
  return std::any_of(known.files.begin(), known.files.end(),
                     [&](const KnownFile& file) { return file.name + ".gz" == name; });
}

/// Why the content of a downloaded file is not the wanted one, if it is not.
std::optional<std::string> wrong_content(const fs::path& path, const KnownFile& wanted,
                                         const DownloadLimits& limits) {
  try {
    const std::string sha256 = content_sha256(path, limits.max_content_bytes);
    if (sha256 == wanted.sha256) return std::nullopt;
    return fmt::format("SHA-256 of the uncompressed content is {}, expected {}", sha256, wanted.sha256);
  } catch (const DataError& error) {
    // The temporary path and the HINT are left out, since both would mislead here.
    std::string reason = error.what();
    reason.resize(std::min(reason.find('\n'), reason.size()));
    const std::string path_prefix = path.string() + ": ";
    return reason.starts_with(path_prefix) ? reason.substr(path_prefix.size()) : reason;
  }
}

/// Fetches files one after the other from a list of mirrors.
class Fetcher {
 public:
  Fetcher(const InputOptions& options, const KnownSet& known, const DownloadLimits& limits, Logger& logger)
      : mirrors_(options.mirrors), set_name_(known.name), limits_(limits), logger_(logger) {}

  void fetch(const KnownFile& wanted, const fs::path& directory) {
    std::vector<std::string> failures;
    for (const std::string& mirror : std::vector(mirrors_)) {
      const auto failure = try_mirror(mirror, wanted, directory);
      if (!failure) return;
      failures.push_back(fmt::format("  {}: {}", mirror, *failure));
      logger_.warn("{}: {}", mirror, *failure);
      // The files that follow ask it last, so that a dead mirror costs its timeout once.
      std::rotate(mirrors_.begin(), mirrors_.begin() + 1, mirrors_.end());
    }
    if (failures.empty()) failures.emplace_back("  the list of mirrors is empty");
    throw DataError(fmt::format("cannot fetch {}.gz of {} into {}:\n{}", wanted.name, set_name_,
                                directory.string(), joined(failures, "\n")),
                    how_to_get_data());
  }

 private:
  std::optional<std::string> try_mirror(const std::string& mirror, const KnownFile& wanted,
                                        const fs::path& directory) {
    const std::string name = wanted.name + ".gz";
    const std::string url = fmt::format("{}{}{}", mirror, mirror.ends_with('/') ? "" : "/", name);
    logger_.info("fetching {}", url);
    AtomicFile file(directory / name, &throw_write_error);
    const Transfer transfer = download(library_, url, file.descriptor(), limits_, logger_);
    if (transfer.failure) return transfer.failure;
    if (auto reason = wrong_content(file.temporary_path(), wanted, limits_)) return reason;
    file.commit();
    logger_.info("fetched {}: {} bytes in {:.1f} s, SHA-256 verified", (directory / name).string(),
                 transfer.bytes, transfer.elapsed_s);
    return std::nullopt;
  }

  CurlLibrary library_;
  std::vector<std::string> mirrors_;  ///< the first one is asked first
  std::string set_name_;
  const DownloadLimits& limits_;
  Logger& logger_;
};

}  // namespace

void fetch_missing(const InputOptions& options, Logger& logger, const KnownSet& known,
                   const DownloadLimits& limits) {
  if (options.use_fake_data || try_locate(options)) return;
  if (!options.download) {
    locate(options);  // throws, as something is missing
    return;
  }
  target_directory(options);  // before anything is made
  const ClaimedDirectory claimed(options.data_dir, logger);
  if (try_locate(options)) return;  // another job fetched them while this one waited
  const fs::path directory = target_directory(options);
  remove_leftovers(directory,
                   [&](std::string_view name) { return claimed.is_exclusive() && is_file_of(known, name); });
  for (const fs::path& file : idx_files_in(directory)) check_is_of_set(file, known, limits);
  logger.info("{}: fetching {} into {}, which {}", section_of(options.split), known.name, directory.string(),
              claimed.is_new() ? "did not exist" : describe_contents(directory));
  Fetcher fetcher(options, known, limits, logger);
  for (const KnownFile& wanted : missing_files(directory, known)) fetcher.fetch(wanted, directory);
}

}  // namespace fcmnist::data

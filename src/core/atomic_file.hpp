#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file_descriptor.hpp"

/// Files that are complete or absent: each is written under a temporary name in its directory and renamed
/// when it is complete. Whatever happens, its own name holds the old content or the new one.
namespace fcmnist {

/// Throws the error of the module that writes a file. It says which call failed, on which file, and why.
using ThrowFileError = void (*)(std::string_view call, const std::filesystem::path& path, int error_number);

/// A file under its temporary name, open for writing. It is removed with this object unless it was committed.
/// The caller's ThrowFileError throws the error of every call that fails; an old file of the final name is
/// then untouched. A file that exceeds `ulimit -f` is such an error only if the process ignores SIGXFSZ.
class AtomicFile {
 public:
  /// Creates the file, with the permissions that umask leaves.
  AtomicFile(std::filesystem::path path, ThrowFileError throw_error);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  [[nodiscard]] const std::filesystem::path& temporary_path() const { return temporary_path_; }
  [[nodiscard]] int descriptor() const { return file_.get(); }

  void write(std::span<const std::byte> bytes);

  /// Waits until the bytes are on the disk. Only then has the file system surely accepted them: with a quota
  /// on NFS, or with delayed allocation, write() may succeed and this may fail. Nothing can be written later.
  void sync_and_close();

  /// Waits until the bytes are on the disk, gives the file its final name, and waits until that is on the
  /// disk too: the file survives the death of the machine.
  void commit();
  /// Gives the file its final name without waiting for the disk: the file survives the death of this process,
  /// but perhaps not that of the machine.
  void commit_without_sync();
  /// After sync_and_close(): gives the file this name in its directory, unless another has it; then false, and
  /// nothing has changed. Of several processes that want one name, one gets it. Its directory is not synced.
  [[nodiscard]] bool take_name(const std::filesystem::path& name);

 private:
  void close();
  void rename();

  std::filesystem::path path_;
  std::filesystem::path temporary_path_;
  ThrowFileError throw_error_;
  FileDescriptor file_;
  bool is_renamed_ = false;
};

/// Waits until the directory of `path` is on the disk: then a creation, renaming or deletion of the file is
/// durable.
void sync_directory_of(const std::filesystem::path& path, ThrowFileError throw_error);

/// "<directory>/.<name>.tmp.<host>.<pid>": the name under which this process writes `path`. It is unique
/// among the jobs of a cluster that share the directory.
std::filesystem::path temporary_name(const std::filesystem::path& path);

/// The directory in which `path` lies; "." for a plain name.
std::filesystem::path directory_of(const std::filesystem::path& path);

/// Removes the temporary files that dead processes left in a directory, and returns their names.
///
/// `only_we_write(final_name)` says whether a lock that the caller holds keeps everybody else from writing a
/// file of this name: then every temporary of it is a leftover, whatever host and process it names. Of the
/// other temporaries, those of this host are leftovers when their process is gone, and those of other hosts
/// when they are older than a day. Failures are not errors: a leftover does no harm.
std::vector<std::string> remove_leftovers(const std::filesystem::path& directory,
                                          const std::function<bool(std::string_view)>& only_we_write);

}  // namespace fcmnist

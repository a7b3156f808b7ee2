#include "store/write_error.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

void throw_write_error(std::string_view call, const fs::path& path, int error_number) {
  throw StoreError(errno_message(call, path.native(), error_number), hint_for_errno(error_number, path));
}

std::string hint_for_errno(int error_number, const fs::path& path) {
  const std::string directory = directory_of(path).string();
  switch (error_number) {
    case ENOSPC:
      return fmt::format(
          "the file system is full: free some space (see \"df -h {0}\" and \"df -i {0}\") or set "
          "another runconfig.model_dir",
          directory);
    case EDQUOT:
      return "your disk quota is used up: remove files or set another runconfig.model_dir";
    case EFBIG:
      return "the file is larger than this process may write: see \"ulimit -f\"";
    case EACCES:
    case EPERM:
      return fmt::format("check the permissions (\"ls -ld {}\") or set another runconfig.model_dir",
                         directory);
    case EROFS:
      return "the file system is mounted read-only here: set another runconfig.model_dir";
    case ENOENT:
      return fmt::format("the directory {} is not there (removed during the run?)", directory);
    case ENOTDIR:
    case EEXIST:
      return fmt::format("a file stands where a directory is needed: see \"ls -ld {}\"", directory);
    case EISDIR:
      return "a directory stands where a file is needed";
    case EIO:
    case ESTALE:
      return "the file system failed; ask the administrators and start again: the run resumes";
    default:
      return "";
  }
}

}  // namespace fcmnist::store

#include "store/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>

#include "core/error.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::store {

namespace {

[[noreturn]] void fail(std::string_view call, const std::filesystem::path& path, int error_number) {
  if (error_number == EIO) {  // a bad place of the disk: only this file is damaged
    throw UnusableFileError(errno_message(call, path.native(), error_number));
  }
  throw StoreError(errno_message(call, path.native(), error_number),
                   error_number == EACCES ? "check its permissions" : "");
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path)
    // O_NONBLOCK keeps a pipe from stopping us here; it has no effect on files.
    : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (!file_) fail("open", path_, errno);
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) fail("stat", path_, errno);
  regular_ = S_ISREG(status.st_mode);
  size_ = regular_ ? status.st_size : 0;
}

std::size_t InputFile::read_at(std::size_t offset, std::span<std::byte> out) {
  std::size_t got = 0;
  while (got < out.size()) {
    const ssize_t n =
        ::pread(file_.get(), out.data() + got, out.size() - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("read", path_, errno);
    if (n == 0) break;
    got += n;
  }
  return got;
}

}  // namespace fcmnist::store

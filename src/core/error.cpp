#include "core/error.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fcmnist {

namespace {

std::string with_hint(std::string_view what, std::string_view hint) {
  std::string text(what);
  if (!hint.empty()) text.append("\n  HINT: ").append(hint);
  return text;
}

}  // namespace

Error::Error(ExitCode code, std::string_view what, std::string_view hint)
    : std::runtime_error(with_hint(what, hint)), code_(code) {}

Error Error::as_agreed() const {
  Error copy = *this;
  copy.agreed_ = true;
  return copy;
}

std::string errno_message(std::string_view call, std::string_view path, int error_number) {
  std::string text(call);
  text.append(" ").append(path).append(": ").append(std::strerror(error_number));
  return text;
}

void invariant_failed(const char* file, int line, const char* condition, const std::string& values) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s (%s)\n", file, line, condition, values.c_str());
  std::abort();
}

}  // namespace fcmnist

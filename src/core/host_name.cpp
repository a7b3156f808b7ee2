#include "core/host_name.hpp"

#include <unistd.h>

#include <array>
#include <climits>

namespace fcmnist {

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};  // the last byte stays 0: a long name is cut without one
  return ::gethostname(name.data(), HOST_NAME_MAX) == 0 ? name.data() : "unknown-host";
}

}  // namespace fcmnist

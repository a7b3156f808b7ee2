#pragma once

#include <string>

namespace fcmnist {

/// What this program was built from and for. It is written to every file.
struct BuildInfo {
  std::string version;       ///< version of the project, e.g. "0.2.0"
  std::string git_revision;  ///< ends in "-dirty" if tracked files differed; "unknown" outside git
  std::string build_type;    ///< CMAKE_BUILD_TYPE, e.g. "Release"
  std::string architecture;  ///< the value of -march, e.g. "x86-64-v3"
  std::string compiler;
};

BuildInfo build_info();

}  // namespace fcmnist

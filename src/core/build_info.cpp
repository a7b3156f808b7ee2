#include "core/build_info.hpp"

#include "git_revision.hpp"

namespace fcmnist {

BuildInfo build_info() {
  return {FCMNIST_VERSION, FCMNIST_GIT_REVISION, FCMNIST_BUILD_TYPE, FCMNIST_ARCH, "g++ " __VERSION__};
}

}  // namespace fcmnist

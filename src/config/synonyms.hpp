#pragma once

#include <string>
#include <string_view>

namespace fcmnist::config {

/// The key that another program or a habit calls `name`, as "section.name"; empty if there is none. Spelling is not
/// its business: see nearest().
std::string synonym(std::string_view name);

}  // namespace fcmnist::config

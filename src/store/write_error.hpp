#pragma once

#include <filesystem>
#include <string>
#include <string_view>

/// Internal to `store`.
namespace fcmnist::store {

/// Throws the StoreError of a failed call on a file that is written: what failed, why, and what to do about
/// it.
[[noreturn]] void throw_write_error(std::string_view call, const std::filesystem::path& path,
                                    int error_number);

/// What to do about a failed write, by errno; empty if there is nothing to say.
std::string hint_for_errno(int error_number, const std::filesystem::path& path);

}  // namespace fcmnist::store

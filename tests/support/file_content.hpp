#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace fcmnist::test {

inline std::string content(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace fcmnist::test

// Runs a fuzz target over files, or over all files of directories: what libFuzzer does with -runs=0, for
// builds without it.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz/fuzz.hpp"

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_in(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

void run(const fs::path& path) {
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);  // before a finding ends the process
  std::ifstream in(path, std::ios::binary);
  FCMNIST_CHECK(in.is_open(), path.string());
  const std::vector<char> bytes(std::istreambuf_iterator<char>(in), {});
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 0;
  for (const char* argument : std::span(argv, static_cast<std::size_t>(argc)).subspan(1)) {
    for (const fs::path& path : files_in(argument)) {
      run(path);
      ++count;
    }
  }
  if (count == 0) std::fprintf(stderr, "no file to run over\n");
  return count == 0 ? 1 : 0;
}

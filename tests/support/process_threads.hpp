#pragma once

#include <fstream>
#include <string>

namespace fcmnist::test {

inline int threads_of_this_process() {
  std::ifstream status("/proc/self/status");
  int threads = 0;
  for (std::string word; status >> word;) {
    if (word == "Threads:") status >> threads;
  }
  return threads;
}

}  // namespace fcmnist::test

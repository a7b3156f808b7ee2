#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/digest.hpp"
#include "data/fetch.hpp"
#include "data/file_lock.hpp"
#include "data/gz_file.hpp"
#include "data/http_server.hpp"
#include "data/idx_fixtures.hpp"
#include "support/log_text.hpp"

namespace fcmnist::data::testing {

namespace fs = std::filesystem;

inline const std::string train_images = "train-images-idx3-ubyte";
inline const std::string train_labels = "train-labels-idx1-ubyte";
inline const std::string test_images = "t10k-images-idx3-ubyte";
inline const std::string test_labels = "t10k-labels-idx1-ubyte";

/// A small set with the names of MNIST, on a server that can misbehave, and an empty data_dir.
class FetchTest : public ::testing::Test {
 protected:
  FetchTest() {
    // A proxy of the environment would get in between.
    setenv("no_proxy", "*", 1);
    add(train_images, images_file(40, 28, 28));
    add(train_labels, labels_file(40));
    add(test_images, images_file(20, 28, 28));
    add(test_labels, labels_file(20));
    options_.data_dir = data_dir_.string();
    limits_.connect_timeout_s = 2;
    limits_.stall_timeout_s = 1;
    limits_.max_bytes = 1 << 20;
    limits_.max_content_bytes = 1 << 20;
  }

  void fetch(const std::vector<std::string>& mirrors) {
    options_.mirrors = mirrors;
    const auto logger = file_logger();
    fetch_missing(options_, *logger, known_, limits_);
  }
  void fetch_from(const std::vector<std::string>& ways) {
    std::vector<std::string> mirrors;
    for (const std::string& way : ways) mirrors.push_back(server().mirror(way));
    fetch(mirrors);
  }

  /// All four files are there with the right content, and nothing else.
  void expect_complete(const fs::path& directory) const {
    EXPECT_EQ(names_in(directory), (std::vector<std::string>{test_images + ".gz", test_labels + ".gz",
                                                             train_images + ".gz", train_labels + ".gz"}));
    for (const KnownFile& file : known_.files) {
      EXPECT_EQ(content_sha256(directory / (file.name + ".gz"), 1 << 20), file.sha256) << file.name;
    }
  }
  void expect_nothing_left() const { EXPECT_FALSE(fs::exists(data_dir_.parent_path())); }

  static std::vector<std::string> names_in(const fs::path& directory) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory)) {
      if (entry.is_regular_file()) names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  HttpServer& server() {
    if (!server_) server_ = std::make_unique<HttpServer>(served_.path(), request_log_);
    return *server_;
  }
  [[nodiscard]] std::string requests() const { return read_text(request_log_); }
  [[nodiscard]] std::string log() const { return read_text(log_path_); }
  [[nodiscard]] std::shared_ptr<Logger> file_logger() const {
    return std::make_shared<Logger>(Logger::Level::info,
                                    [path = log_path_](Logger::Level level, std::string_view text) {
                                      std::ofstream(path, std::ios::app) << test::log_line(level, text);
                                    });
  }
  /// Runs `action` in a process of its own, whose exit code is 0 unless it throws.
  static pid_t in_child(const std::function<void()>& action) {
    const pid_t child = fork();
    if (child != 0) return child;
    try {
      action();
      _exit(0);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "child: %s\n", error.what());
      _exit(1);
    }
  }
  static int exit_code_of(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  /// Another process that holds the lock of data_dir until it is killed.
  pid_t start_lock_holder() const {
    std::array<int, 2> ready{};
    EXPECT_EQ(pipe(ready.data()), 0);
    fs::create_directories(data_dir_);
    const pid_t holder = in_child([&] {
      const FileLock lock(data_dir_ / ".fcmnist_fetch.lock", *file_logger());
      if (write(ready[1], "x", 1) != 1) _exit(1);
      for (;;) pause();
    });
    char c = 0;
    EXPECT_EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return holder;
  }
  void wait_until_log_has(const std::string& part) const {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (log().find(part) == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "no \"" << part << "\" in:\n" << log();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  TemporaryDirectory scratch_, served_;
  fs::path data_dir_ = scratch_ / "data/mnist";
  fs::path log_path_ = scratch_ / "log";
  fs::path request_log_ = scratch_ / "requests";
  InputOptions options_;
  KnownSet known_{"TinyMNIST", {}};
  DownloadLimits limits_;

 private:
  void add(const std::string& name, const Bytes& content) {
    write_file(served_ / (name + ".gz"), gzipped(content));
    Bytes other = content;
    other.back() ^= 1;
    write_file(served_ / (name + ".gz.wrong"), gzipped(other));
    known_.files.push_back({name, sha256_hex(std::as_bytes(std::span(content)))});
  }
  std::unique_ptr<HttpServer> server_;
};

}  // namespace fcmnist::data::testing

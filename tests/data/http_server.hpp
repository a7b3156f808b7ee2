#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace fcmnist::data::testing {

/// tests/support/http_server.py, running for as long as this lives. FCMNIST_PYTHON and FCMNIST_HTTP_SERVER
/// are set by CMake.
class HttpServer {
 public:
  /// Serves the files of `directory`, writes the path of each request to `log`.
  HttpServer(const std::filesystem::path& directory, const std::filesystem::path& log) {
    std::array<int, 2> input{}, output{};
    if (pipe(input.data()) != 0 || pipe(output.data()) != 0) throw std::runtime_error("pipe");
    process_ = fork();
    if (process_ == 0) {
      dup2(input[0], STDIN_FILENO);
      dup2(output[1], STDOUT_FILENO);
      for (const int descriptor : {input[0], input[1], output[0], output[1]}) close(descriptor);
      execl(FCMNIST_PYTHON, FCMNIST_PYTHON, FCMNIST_HTTP_SERVER, directory.c_str(), log.c_str(), nullptr);
      _exit(127);
    }
    close(input[0]);
    close(output[1]);
    input_ = input[1];
    for (char c = 0; read(output[0], &c, 1) == 1 && c != '\n';) port_ += c;
    close(output[0]);
    if (port_.empty()) throw std::runtime_error("the web server of the tests does not start");
  }
  ~HttpServer() {
    close(input_);  // its standard input ends: it stops
    waitpid(process_, nullptr, 0);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// The mirror that serves files in one of the ways that the server knows ("good", "stalled" ...).
  [[nodiscard]] std::string mirror(const std::string& how) const {
    return "http://127.0.0.1:" + port_ + "/" + how;
  }

 private:
  pid_t process_ = -1;
  int input_ = -1;
  std::string port_;
};

}  // namespace fcmnist::data::testing

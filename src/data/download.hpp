#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/log.hpp"

namespace fcmnist::data {

/// When a transfer is given up, and how often its progress is logged.
struct DownloadLimits {
  long connect_timeout_s = 10;
  long stall_timeout_s = 15;  ///< a transfer is given up after so many seconds below stall_bytes_per_s
  long stall_bytes_per_s = 1000;
  std::int64_t max_bytes = std::int64_t{64} << 20;  ///< largest size of a file as it is transferred
  std::uint64_t max_content_bytes = std::uint64_t{128}
                                    << 20;  ///< largest size of a file when it is uncompressed
  double log_interval_s = 5;                ///< time between two log lines of progress
};

/// Owns the state of libcurl, of which a process has one. Make it while the process has one thread.
class CurlLibrary {
 public:
  CurlLibrary();
  ~CurlLibrary();
  CurlLibrary(const CurlLibrary&) = delete;
  CurlLibrary& operator=(const CurlLibrary&) = delete;
};

/// The result of a transfer: how many bytes were written, or why it failed.
struct Transfer {
  std::int64_t bytes = 0;
  double elapsed_s = 0;
  std::optional<std::string> failure;
};

/// Appends the content of `url` (http, https or file; redirects are followed, but never to a file) to an open
/// file and logs progress. Proxies are taken from the environment, as by curl (http_proxy, https_proxy,
/// no_proxy). Throws DataError only if the file cannot be written: every other failure is one of the server
/// or the network, and stands in the result.
Transfer download(const CurlLibrary& library, const std::string& url, int descriptor,
                  const DownloadLimits& limits, Logger& logger);

}  // namespace fcmnist::data

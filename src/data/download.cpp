#include "data/download.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "core/error.hpp"
#include "core/file_descriptor.hpp"

namespace fcmnist::data {

namespace {

constexpr double mib = 1024.0 * 1024.0;

/// One transfer, as libcurl's callbacks see it. They are called from C, so they must not throw.
struct Job {
  const std::string& url;
  int descriptor;
  const DownloadLimits& limits;
  Logger& logger;
  CURL* handle;
  std::int64_t bytes = 0;
  double last_log_s = 0;
  int write_errno = 0;
  bool is_too_long = false;

  [[nodiscard]] double elapsed_s() const {
    curl_off_t elapsed_us = 0;
    curl_easy_getinfo(handle, CURLINFO_TOTAL_TIME_T, &elapsed_us);
    return static_cast<double>(elapsed_us) * 1e-6;
  }
};

std::size_t on_data(char* data, std::size_t size, std::size_t count, void* user) {
  Job& job = *static_cast<Job*>(user);
  const std::size_t bytes = size * count;
  job.bytes += static_cast<std::int64_t>(bytes);
  job.is_too_long = job.bytes > job.limits.max_bytes;
  if (job.is_too_long) return CURL_WRITEFUNC_ERROR;
  job.write_errno = write_all(job.descriptor, std::as_bytes(std::span(data, bytes)));
  return job.write_errno == 0 ? bytes : CURL_WRITEFUNC_ERROR;
}

int on_progress(void* user, curl_off_t total, curl_off_t now, curl_off_t /*upload_total*/,
                curl_off_t /*uploaded*/) {
  Job& job = *static_cast<Job*>(user);
  const double elapsed_s = job.elapsed_s();
  if (elapsed_s - job.last_log_s >= job.limits.log_interval_s) {
    job.last_log_s = elapsed_s;
    const std::string of_total = total > 0 ? fmt::format(" of {:.1f}", static_cast<double>(total) / mib) : "";
    job.logger.info("  {:.1f}{} MiB after {:.0f} s", static_cast<double>(now) / mib, of_total, elapsed_s);
  }
  return 0;
}

/// Sets one option. That can fail only if libcurl was built without a feature.
template <class T>
void set(CURL* handle, CURLoption option, T value) {
  const CURLcode code = curl_easy_setopt(handle, option, value);
  FCMNIST_CHECK(code == CURLE_OK,
                fmt::format("libcurl option {}: {}", static_cast<int>(option), curl_easy_strerror(code)));
}

void set_up(Job& job, char* error_text) {
  CURL* handle = job.handle;
  set(handle, CURLOPT_ERRORBUFFER, error_text);
  set(handle, CURLOPT_URL, job.url.c_str());
  set(handle, CURLOPT_PROTOCOLS_STR, "http,https,file");
  set(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  set(handle, CURLOPT_FOLLOWLOCATION, 1L);
  set(handle, CURLOPT_MAXREDIRS, 5L);
  set(handle, CURLOPT_FAILONERROR, 1L);
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_USERAGENT, "fcmnist_mpi");
  set(handle, CURLOPT_CONNECTTIMEOUT, job.limits.connect_timeout_s);
  set(handle, CURLOPT_LOW_SPEED_TIME, job.limits.stall_timeout_s);
  set(handle, CURLOPT_LOW_SPEED_LIMIT, job.limits.stall_bytes_per_s);
  set(handle, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(job.limits.max_bytes));
  set(handle, CURLOPT_WRITEFUNCTION, &on_data);
  set(handle, CURLOPT_WRITEDATA, static_cast<void*>(&job));
  set(handle, CURLOPT_NOPROGRESS, 0L);
  set(handle, CURLOPT_XFERINFOFUNCTION, &on_progress);
  set(handle, CURLOPT_XFERINFODATA, static_cast<void*>(&job));
}

std::string failure_text(const Job& job, CURLcode code, const char* error_text) {
  if (job.is_too_long || code == CURLE_FILESIZE_EXCEEDED) {
    return fmt::format("the file is longer than {} bytes", job.limits.max_bytes);
  }
  return *error_text != '\0' ? error_text : curl_easy_strerror(code);
}

}  // namespace

CurlLibrary::CurlLibrary() {
  const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw DataError(fmt::format("libcurl does not start: {}", curl_easy_strerror(code)));
}

CurlLibrary::~CurlLibrary() { curl_global_cleanup(); }

Transfer download(const CurlLibrary& /*library*/, const std::string& url, int descriptor,
                  const DownloadLimits& limits, Logger& logger) {
  std::array<char, CURL_ERROR_SIZE> error_text{};  // outlives the handle, which may write to it until the end
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl_easy_init(), &curl_easy_cleanup);
  if (!handle) throw DataError("libcurl does not start: curl_easy_init failed");
  Job job{url, descriptor, limits, logger, handle.get()};
  set_up(job, error_text.data());
  const CURLcode code = curl_easy_perform(handle.get());
  if (job.write_errno != 0)
    throw DataError(errno_message("cannot store", url, job.write_errno),
                    "check that the disk of data_dir is not full");
  Transfer transfer{job.bytes, job.elapsed_s(), std::nullopt};
  if (code != CURLE_OK) transfer.failure = failure_text(job, code, error_text.data());
  return transfer;
}

}  // namespace fcmnist::data

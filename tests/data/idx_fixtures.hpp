#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "support/temporary_directory.hpp"

/// Small IDX files, and places to put them.
namespace fcmnist::data::testing {

using Bytes = std::vector<std::uint8_t>;

inline void write_file(const std::filesystem::path& path, const Bytes& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(file.good()) << path;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Header fields as given, right or wrong, then the body.
inline Bytes idx(std::uint8_t type, const std::vector<std::uint32_t>& counts, const Bytes& body) {
  Bytes bytes = {0, 0, type, static_cast<std::uint8_t>(counts.size())};
  for (const std::uint32_t count : counts) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(count >> shift));
  }
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

/// `count` different bytes.
inline Bytes ramp(std::size_t count, std::uint8_t first = 1) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(first + 7 * i);
  return bytes;
}

inline Bytes images_file(std::uint32_t samples, std::uint32_t rows, std::uint32_t cols) {
  return idx(0x08, {samples, rows, cols}, ramp(std::size_t{samples} * rows * cols));
}

/// Labels 0 1 2 .. 9 0 1 ..
inline Bytes labels_file(std::uint32_t samples) {
  Bytes labels(samples);
  for (std::uint32_t i = 0; i < samples; ++i) labels[i] = static_cast<std::uint8_t>(i % 10);
  return idx(0x08, {samples}, labels);
}

inline Bytes gzipped(const Bytes& bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes out(deflateBound(&stream, bytes.size()) + 32);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// The message of the DataError (or derived type E) that `action` throws; a failure if it throws none.
template <class E = DataError, class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

inline void expect_contains(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(text.find(part), std::string::npos) << "no \"" << part << "\" in:\n" << text;
  }
}

}  // namespace fcmnist::data::testing

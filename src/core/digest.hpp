#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace fcmnist {

/// The SHA-256 (FIPS 180-4) of all bytes that were added. OpenSSL computes it.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void add(std::span<const std::byte> bytes);
  /// The sum as 64 lower-case hexadecimal digits. Call it once, at the end.
  [[nodiscard]] std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace fcmnist

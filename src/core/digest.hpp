#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace fcmnist {

/// SHA-256 (FIPS 180-4) of what was added so far, by OpenSSL.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void add(std::span<const std::byte> bytes);
  /// 64 lower-case hexadecimal digits. Ends the sum: call once.
  [[nodiscard]] std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace fcmnist

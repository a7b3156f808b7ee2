#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <array>
#include <cstddef>
#include <cstdint>

namespace fcmnist {

/// What random numbers are drawn for. Part of the key, so that streams never overlap. The values are part of
/// the checkpoint contract (a resumed run must draw the same numbers): add at the end, never renumber.
enum class Purpose : std::uint32_t {
  weight_init = 1,
  epoch_order = 2,
  dropout = 3,
  fake_data = 4,
  augmentation = 5,
  validation_split = 6,
  sweep = 7,
  mixup = 8,
};

/// Counter-based random numbers: the n-th number is a pure function of (seed, purpose, a, b, n), never of who
/// draws it or of what was drawn before. Philox 4x32-10. Source: Salmon, Moraes, Dror, Shaw, "Parallel random
/// numbers: as easy as 1, 2, 3", SC'11, doi 10.1145/2063384.2063405.
class CounterRng {
 public:
  CounterRng(std::uint64_t seed, Purpose purpose, std::uint32_t a, std::uint32_t b)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        purpose_(static_cast<std::uint32_t>(purpose)),
        a_(a),
        b_(b) {}

  /// The block with index n: four independent 32-bit numbers.
  [[nodiscard]] std::array<std::uint32_t, 4> block(std::uint32_t n) const {
    std::array<std::uint32_t, 4> x{n, purpose_, a_, b_};
    std::uint32_t k0 = key_[0], k1 = key_[1];
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * x[0];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * x[2];
      x = {static_cast<std::uint32_t>(p1 >> 32) ^ x[1] ^ k0, static_cast<std::uint32_t>(p1),
           static_cast<std::uint32_t>(p0 >> 32) ^ x[3] ^ k1, static_cast<std::uint32_t>(p0)};
      k0 += 0x9E3779B9U;
      k1 += 0xBB67AE85U;
    }
    return x;
  }

  /// Block n for 8 values of b at once, in vector code: words[w][l] is number w of that block for b[l].
  static void blocks(std::uint64_t seed, Purpose purpose, std::uint32_t a, const std::uint32_t* b,
                     std::uint32_t n, std::array<std::array<std::uint32_t, 8>, 4>& words);

  [[nodiscard]] std::uint32_t u32(std::uint32_t n) const { return block(n / 4)[n % 4]; }
  /// A uniform number in [0, 1), a multiple of 2^-32.
  [[nodiscard]] double uniform(std::uint32_t n) const { return u32(n) * 0x1p-32; }
  /// A uniform integer in [0, bound), where bound > 0. Its bias is below bound / 2^64.
  [[nodiscard]] std::uint32_t below(std::uint32_t bound, std::uint32_t n) const {
    // The high part of a 64-bit random number times bound, in two 32-bit multiplications.
    const auto x = block(n / 2);
    const std::size_t first = n % 2 == 0 ? 0 : 2;
    const std::uint64_t low = (std::uint64_t{x[first]} * bound) >> 32;
    return static_cast<std::uint32_t>((std::uint64_t{x[first + 1]} * bound + low) >> 32);
  }
  /// A standard normal number, by the method of Box and Muller (1958).
  [[nodiscard]] double normal(std::uint32_t n) const;

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint32_t purpose_, a_, b_;
};

inline void CounterRng::blocks(std::uint64_t seed, Purpose purpose, std::uint32_t a, const std::uint32_t* b,
                               std::uint32_t n, std::array<std::array<std::uint32_t, 8>, 4>& words) {
#if defined(__AVX2__)
  // The instruction that multiplies 32-bit numbers takes them from the lower part of 64-bit ones, and does not look at the upper
  // part. So even and odd values of b go apart, and nothing need be moved from round to round. Compilers do not find this.
  using Vector = __m256i;
  struct State {
    Vector x0, x1, x2, x3;
  };
  const auto all = [](std::uint32_t number) { return _mm256_set1_epi64x(number); };
  const Vector multiplier0 = all(0xD2511F53U), multiplier1 = all(0xCD9E8D57U);
  const Vector both = _mm256_loadu_si256(reinterpret_cast<const Vector*>(b));
  const Vector purpose_word = all(static_cast<std::uint32_t>(purpose));
  State even = {all(n), purpose_word, all(a), both};
  State odd = {all(n), purpose_word, all(a), _mm256_srli_epi64(both, 32)};
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Vector key0 = all(k0), key1 = all(k1);
    for (State* s : {&even, &odd}) {
      const Vector p0 = _mm256_mul_epu32(s->x0, multiplier0), p1 = _mm256_mul_epu32(s->x2, multiplier1);
      *s = {_mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), s->x1), key0), p1,
            _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), s->x3), key1), p0};
    }
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  const auto put = [](Vector evens, Vector odds, std::array<std::uint32_t, 8>& to) {
    const Vector merged = _mm256_blend_epi32(evens, _mm256_slli_epi64(odds, 32), 0xAA);
    _mm256_storeu_si256(reinterpret_cast<Vector*>(to.data()), merged);
  };
  put(even.x0, odd.x0, words[0]);
  put(even.x1, odd.x1, words[1]);
  put(even.x2, odd.x2, words[2]);
  put(even.x3, odd.x3, words[3]);
#else
  for (std::size_t l = 0; l < 8; ++l) {
    const auto x = CounterRng(seed, purpose, a, b[l]).block(n);
    for (std::size_t w = 0; w < 4; ++w) words[w][l] = x[w];
  }
#endif
}

}  // namespace fcmnist

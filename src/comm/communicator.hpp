#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace fcmnist::comm {

class StallWatch;

/// A number, an enumerator or a struct of such: what its bytes say holds on every rank. Texts and arrays have
/// functions of their own.
template <class T>
concept PlainValue = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> &&
                     !std::is_convertible_v<T, std::string_view> && !requires(const T& t) {
  t.data();
};

/// A group of ranks that talk to each other; owns its MPI communicator unless it is the world. Every member
/// function is collective over the group unless it says otherwise. MPI errors become CommError, and so does a
/// rank that does not come within the stall timeout.
class Communicator {
 public:
  struct Handle;  ///< hides MPI_Comm from headers
  explicit Communicator(std::unique_ptr<Handle> handle);
  ~Communicator();
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;

  [[nodiscard]] int rank() const { return rank_; }  ///< not collective
  [[nodiscard]] int size() const { return size_; }  ///< not collective

  /// Groups of ranks with equal `color`, ordered by rank in this group.
  [[nodiscard]] Communicator split(int color) const;
  /// Groups of ranks that share memory.
  [[nodiscard]] Communicator split_by_node() const;

  void barrier() const;
  /// For destructors, before a call of MPI that waits for the others without a limit: a barrier that ends the
  /// world when a rank does not come.
  void barrier_or_end_world() const noexcept;
  /// Every rank gets the root's text.
  [[nodiscard]] std::string broadcast(std::string_view text, int root) const;
  /// Every rank gets the root's value.
  template <PlainValue T>
  [[nodiscard]] T broadcast(T value, int root) const {
    broadcast(std::as_writable_bytes(std::span(&value, 1)), root);
    return value;
  }
  /// Every rank gets the root's numbers, of which there are equally many on all ranks.
  void broadcast(std::span<float> numbers, int root) const;
  void broadcast(std::span<std::byte> bytes, int root) const;
  /// The root gets the numbers of all ranks, one after the other in rank order; `all` is empty elsewhere.
  void gather(std::span<const float> mine, std::span<float> all, int root) const;
  /// The other way round: every rank gets its piece of what the root has.
  void scatter(std::span<const float> all, std::span<float> mine, int root) const;
  /// Element by element over all ranks, in place. Same bits on every rank.
  void sum(std::span<double> numbers) const;
  void sum(std::span<std::int64_t> numbers) const;
  [[nodiscard]] double max(double number) const;
  /// `work_s`: see collectively().
  [[nodiscard]] std::int64_t min(std::int64_t number, double work_s = 0.0) const;
  /// The texts of all ranks, in rank order, on every rank.
  [[nodiscard]] std::vector<std::string> all_gather(std::string_view text) const;
  /// The values of all ranks, in rank order, on every rank.
  template <PlainValue T>
  [[nodiscard]] std::vector<T> all_gather(const T& value) const {
    std::vector<T> all(static_cast<std::size_t>(size_));
    all_gather_bytes(std::as_bytes(std::span(&value, 1)), std::as_writable_bytes(std::span(all)));
    return all;
  }

  [[nodiscard]] const Handle& handle() const { return *handle_; }  ///< for this module only
  [[nodiscard]] StallWatch& stall_watch() const;                   ///< same

 private:
  void all_gather_bytes(std::span<const std::byte> mine, std::span<std::byte> all) const;

  std::unique_ptr<Handle> handle_;
  int rank_ = 0;
  int size_ = 1;
};

/// Runs `action` on the ranks that pass one, and makes its outcome common: if it threw an Error anywhere,
/// every rank throws the error of the lowest such rank, marked as agreed. Use it around everything that can
/// fail on one rank only (files, first of all), so that no rank goes on alone into a collective call.
///   work_s  seconds that `action` may rightly take on some ranks while the others wait; the stall timeout
///           counts from then
void collectively(const Communicator& group, const std::function<void()>& action, double work_s = 0.0);

/// `work_s` for fetching data that are missing, by this rank or by another process that has locked them.
constexpr double long_work_s = 3600.0;

}  // namespace fcmnist::comm

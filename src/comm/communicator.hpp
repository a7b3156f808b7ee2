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

/// A number, an enumerator or a struct of such values. It can be sent as its bytes. Texts and arrays have
/// functions of their own.
template <class T>
concept PlainValue = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> &&
                     !std::is_convertible_v<T, std::string_view> && !requires(const T& t) {
  t.data();
};

/// A group of ranks that send each other messages. It owns its MPI communicator, except that of the world.
/// Every member function is collective over the group unless its comment says otherwise. It throws CommError
/// when MPI reports an error, and when a rank does not come within the stall timeout.
class Communicator {
 public:
  struct Handle;  ///< It hides MPI_Comm from the headers.
  explicit Communicator(std::unique_ptr<Handle> handle);
  ~Communicator();
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;

  [[nodiscard]] int rank() const { return rank_; }  ///< not collective
  [[nodiscard]] int size() const { return size_; }  ///< not collective

  /// Divides this group: ranks with equal `color` form a new group, in the order of their ranks in this
  /// group.
  [[nodiscard]] Communicator split(int color) const;
  /// Divides this group: ranks that share memory form a new group.
  [[nodiscard]] Communicator split_by_node() const;

  void barrier() const;
  /// A barrier for destructors that are about to make a call of MPI that waits without a limit. It ends the
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
  /// The root gets the numbers of all ranks, one rank after the other in rank order. On the other ranks `all`
  /// is empty.
  void gather(std::span<const float> mine, std::span<float> all, int root) const;
  /// The same of bytes, less than 2 GiB of them. On the other ranks the result is empty.
  [[nodiscard]] std::vector<std::byte> gather(std::span<const std::byte> mine, int root) const;
  /// The root gets the values of all ranks, in rank order. On the other ranks the result is empty, and they need not
  /// wait for anybody.
  template <PlainValue T>
  [[nodiscard]] std::vector<T> gather(const T& value, int root) const {
    std::vector<T> all(static_cast<std::size_t>(rank_ == root ? size_ : 0));
    gather_bytes(std::as_bytes(std::span(&value, 1)), std::as_writable_bytes(std::span(all)), root);
    return all;
  }
  /// Every rank gets its piece of the root's numbers: the inverse of gather().
  void scatter(std::span<const float> all, std::span<float> mine, int root) const;
  /// Adds the arrays of all ranks element by element, in place. Every rank gets the same bits.
  void sum(std::span<double> numbers) const;
  void sum(std::span<std::int64_t> numbers) const;
  /// The greatest number of all ranks.
  [[nodiscard]] double max(double number) const;
  /// The least number of all ranks.
  ///   work_s  see collectively()
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

  [[nodiscard]] const Handle& handle() const { return *handle_; }  ///< Only comm may use it.
  [[nodiscard]] StallWatch& stall_watch() const;                   ///< Only comm may use it.

 private:
  void all_gather_bytes(std::span<const std::byte> mine, std::span<std::byte> all) const;
  void gather_bytes(std::span<const std::byte> mine, std::span<std::byte> all, int root) const;

  std::unique_ptr<Handle> handle_;
  int rank_ = 0;
  int size_ = 1;
};

/// Runs `action` on the ranks that pass one, and makes all ranks agree on how it ended. If it threw an Error
/// on some ranks, every rank throws the error of the lowest of these ranks, marked as agreed. Use it around
/// everything that can fail on one rank only, such as work on files. Then no rank goes on alone into a
/// collective call.
///   work_s  seconds that `action` may take on some ranks while the others wait; the stall timeout begins
///           after this time
void collectively(const Communicator& group, const std::function<void()>& action, double work_s = 0.0);

/// The `work_s` of fetching missing data. This rank fetches them, or waits for another process that does.
constexpr double long_work_s = 3600.0;

}  // namespace fcmnist::comm

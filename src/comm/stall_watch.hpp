#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "comm/options.hpp"
#include "core/error.hpp"

namespace fcmnist::comm {

/// The times of a wait that is no longer short, in seconds.
struct StallTimes {
  explicit StallTimes(double stall_timeout_s)
      : timeout_s(stall_timeout_s),
        beat_s(stall_timeout_s / 20),
        warning_s(stall_timeout_s / 5),
        to_end_world_s(std::min(3.0, stall_timeout_s / 2)) {}
  double timeout_s;       ///< after this time the wait is given up
  double beat_s;          ///< the rank tells the others once in this time that it waits
  double warning_s;       ///< after this time a warning is printed; a rank silent for so long is missing
  double to_end_world_s;  ///< time that the error of one rank has to end the other ranks
};

/// Prints a warning that this rank has waited for `waited_s` for the missing ranks.
void warn_of_stall(const std::vector<std::size_t>& missing, double waited_s);
/// The error with which such a wait ends.
///   work_s  time that the missing ranks were allowed to work before the timeout began
CommError stall_error(const std::vector<std::size_t>& missing, double timeout_s, double work_s);

/// Finds the ranks of the world for which the other ranks wait in vain. A Session has one watch for all its
/// communicators.
///
/// A beat is a twentieth of the stall timeout. After each beat a waiting rank sends an empty message, its
/// note, to every other rank. A rank is missing if no note of it came in the last fifth of the stall timeout:
/// it has died, is stopped, or works while the others wait. So the missing rank is known wherever the others
/// wait: in a collective call, in shared memory, or behind a chain of other nodes. After a fifth of the stall
/// timeout the lowest waiting rank prints a warning. At the end of the timeout it throws, and the program
/// ends the world. The other waiting ranks throw some seconds later, one after the other, unless the world
/// has ended by then. So one line tells the error, and not one line for each rank.
///
/// Cost: a wait shorter than a beat costs nothing. In a longer wait P ranks send P (P-1) notes per beat, and
/// each rank tests once in a millisecond whether the wait is over.
class StallWatch {
 public:
  struct World;  ///< It hides MPI from the headers.
  explicit StallWatch(std::unique_ptr<World> world);
  ~StallWatch();
  StallWatch(const StallWatch&) = delete;
  StallWatch& operator=(const StallWatch&) = delete;

  /// Sets the stall timeout of all waits that begin later. All ranks must set the same.
  void set_timeout(double timeout_s) { timeout_s_ = timeout_s; }

  /// Seconds since some moment in the past.
  using Clock = std::function<double()>;
  /// Replaces now_s() by the clock of a test, which can let time pass as it needs. Not to be called during a
  /// wait.
  void set_clock(Clock clock) { clock_ = std::move(clock); }

  /// Prints the error and ends the world. Nobody can catch the error.
  [[noreturn]] void end_world(const Error& error) const;
  /// Prints the error and ends this process, from a thread that must not call MPI. The launcher then ends the
  /// other ranks.
  [[noreturn]] void end_process(const Error& error) const;

  [[nodiscard]] const World& world() const { return *world_; }  ///< Only comm may use it.
  [[nodiscard]] double timeout_s() const { return timeout_s_; }

  /// One wait that is no longer short.
  class Wait {
   public:
    ///   work_s  time that a rank may work before it comes; the stall timeout begins after this time
    Wait(StallWatch& watch, double work_s);
    /// The waiting rank calls it again and again. It lets MPI make progress and watches the clock. After the
    /// first beat it also sleeps for a millisecond. Throws a CommError that names the missing ranks. A turn
    /// counts as no more than a beat. So a job that was suspended as a whole and continued does not look like
    /// one whose ranks have died.
    void take_turn();

   private:
    void end_beat();
    [[nodiscard]] bool is_waiting(std::size_t rank) const;
    [[nodiscard]] std::vector<std::size_t> missing_ranks() const;
    void print_warning();
    [[noreturn]] void throw_stall_error() const;

    StallWatch* watch_;
    double work_s_;
    StallTimes times_;
    double waited_s_;  ///< time waited since work_s was over, negative before
    double last_turn_s_;
    int beats_ = 0;
    bool has_warned_ = false;
    std::optional<std::vector<std::size_t>> missing_;  ///< the ranks that were missing at the stall timeout
    double throw_at_s_ = 0.0;                          ///< this rank throws at this value of waited_s_
  };

 private:
  void print_error(const Error& error) const;
  void send_notes();
  void receive_notes(double waited_s);

  std::unique_ptr<World> world_;
  double timeout_s_ = CommOptions().stall_timeout_s;
  Clock clock_;
  std::vector<double> heard_s_;  ///< for each rank: waited_s_ of the wait under way when its last note came
};

}  // namespace fcmnist::comm

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

/// When what happens in a wait that is no longer short.
struct StallTimes {
  explicit StallTimes(double stall_timeout_s)
      : timeout_s(stall_timeout_s),
        beat_s(stall_timeout_s / 20),
        warning_s(stall_timeout_s / 5),
        to_end_world_s(std::min(3.0, stall_timeout_s / 2)) {}
  double timeout_s;
  double beat_s;
  double warning_s;
  double to_end_world_s;  ///< from the error of one rank to the end of the others
};

/// Prints that this rank has waited for so long for these ranks.
void warn_of_stall(const std::vector<std::size_t>& missing, double waited_s);
/// The end of such a wait. `work_s`: the part of `waited_s` that the missing ranks may rightly have worked.
CommError stall_error(const std::vector<std::size_t>& missing, double timeout_s, double work_s);

/// Finds the ranks of the world for which the others wait in vain. One per Session, for all its
/// communicators.
///
/// A rank that has waited for a twentieth of the stall timeout tells every other rank so, with an empty
/// message, and again after each further twentieth: a beat. Whoever was not heard of in the last fifth of the
/// stall timeout is missing: it has died, is stopped, or works while the others wait. So the missing rank has
/// a name wherever the wait is: in a collective call, in shared memory, or behind a chain of other nodes.
/// After a fifth of the stall timeout the lowest rank that waits prints a warning; at its end it throws, upon
/// which the program ends the world. The others throw one after the other, some seconds later, should the
/// world not have ended by then: one line says it, not one for each rank.
///
/// Cost: none in a wait shorter than a beat; then P (P-1) messages per beat in a world of P ranks, and a look
/// each millisecond.
class StallWatch {
 public:
  struct World;  ///< hides MPI from headers
  explicit StallWatch(std::unique_ptr<World> world);
  ~StallWatch();
  StallWatch(const StallWatch&) = delete;
  StallWatch& operator=(const StallWatch&) = delete;

  /// The same on all ranks. Holds for the waits that begin later.
  void set_timeout(double timeout_s) { timeout_s_ = timeout_s; }

  /// Seconds since some moment in the past.
  using Clock = std::function<double()>;
  /// For tests, which may let time pass as they wish: now_s() otherwise. Not to be changed during a wait.
  void set_clock(Clock clock) { clock_ = std::move(clock); }

  /// Ends the world with this error, which nobody can catch.
  [[noreturn]] void end_world(const Error& error) const;
  /// The same from a thread that may not call MPI: the launcher ends the other ranks.
  [[noreturn]] void end_process(const Error& error) const;

  [[nodiscard]] const World& world() const { return *world_; }  ///< for this module only
  [[nodiscard]] double timeout_s() const { return timeout_s_; }

  /// One wait that is no longer short.
  class Wait {
   public:
    /// `work_s`: time that a rank may rightly work before it comes; the stall timeout counts from then.
    Wait(StallWatch& watch, double work_s);
    /// Called again and again by the one that waits: lets MPI make progress and watches the clock; after the
    /// first beat it sleeps for a millisecond. Throws CommError that names the missing ranks. A turn counts
    /// for no more than a beat, so that a job that was suspended as a whole and continued does not look like
    /// one whose ranks have died.
    void turn();

   private:
    void beat();
    [[nodiscard]] bool is_waiting(std::size_t rank) const;
    [[nodiscard]] std::vector<std::size_t> missing_ranks() const;
    void warn();
    [[noreturn]] void give_up() const;

    StallWatch* watch_;
    double work_s_;
    StallTimes times_;
    double waited_s_;  ///< since work_s was over
    double last_turn_s_;
    int beats_ = 0;
    bool has_warned_ = false;
    std::optional<std::vector<std::size_t>> missing_;  ///< when the stall timeout was over
    double throw_at_s_ = 0.0;                          ///< from then on
  };

 private:
  void say(const Error& error) const;
  void tell_all();
  void receive(double waited_s);

  std::unique_ptr<World> world_;
  double timeout_s_ = CommOptions().stall_timeout_s;
  Clock clock_;
  std::vector<double> heard_s_;  ///< per rank: when it last said so, in waited_s_ of the wait under way
};

}  // namespace fcmnist::comm

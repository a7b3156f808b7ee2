#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "comm/options.hpp"

namespace fcmnist::comm {

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
/// Cost: none in a wait shorter than a beat; then P (P-1) messages per beat in a world of P ranks.
class StallWatch {
 public:
  struct World;  ///< hides MPI from headers
  explicit StallWatch(std::unique_ptr<World> world);
  ~StallWatch();
  StallWatch(const StallWatch&) = delete;
  StallWatch& operator=(const StallWatch&) = delete;

  /// The same on all ranks. Holds for the waits that begin later.
  void set_timeout(double timeout_s) { timeout_s_ = timeout_s; }

  /// Ends the world with the exit code of a stall, whose error nobody can catch.
  [[noreturn]] void end_world(const char* what) const;

  /// One wait that is no longer short.
  class Wait {
   public:
    /// `work_s`: time that a rank may rightly work before it comes; the stall timeout counts from then.
    Wait(StallWatch& watch, double work_s);
    /// Called again and again by the one that waits: lets MPI make progress and watches the clock. Throws
    /// CommError that names the missing ranks. A turn counts for no more than a beat, so that a job that was
    /// suspended as a whole and continued does not look like one whose ranks have died.
    void turn();

   private:
    void beat();
    [[nodiscard]] bool is_waiting(std::size_t rank) const;
    [[nodiscard]] std::vector<std::size_t> missing_ranks() const;
    void warn();
    [[noreturn]] void give_up() const;

    StallWatch* watch_;
    double work_s_;
    double timeout_s_;
    double beat_s_;
    double waited_s_;  ///< since work_s was over
    double last_turn_s_;
    int beats_ = 0;
    bool has_warned_ = false;
    std::optional<std::vector<std::size_t>> missing_;  ///< when the stall timeout was over
    double throw_at_s_ = 0.0;                          ///< from then on
  };

 private:
  void tell_all();
  void receive(double waited_s);

  std::unique_ptr<World> world_;
  double timeout_s_ = CommOptions().stall_timeout_s;
  std::vector<double> heard_s_;  ///< per rank: when it last said so, in waited_s_ of the wait under way
};

}  // namespace fcmnist::comm

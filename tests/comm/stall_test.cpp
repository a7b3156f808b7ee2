// One rank does not come to the place where the others wait.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "comm/clock.hpp"
#include "comm/gradient_exchange.hpp"
#include "comm/node_barrier.hpp"
#include "comm/node_counters.hpp"
#include "core/error.hpp"
#include "support/mpi_test.hpp"

namespace fcmnist::comm {
namespace {

using test::world;
using testing::HasSubstr;

using Action = std::function<void()>;

const double timeout_s = CommOptions().stall_timeout_s;

/// One clock for all ranks. It stands still until each rank has read it again. When a rank has no core for a
/// long time, the other ranks see no time pass meanwhile. So the results do not depend on how fast or busy
/// the machine is, and a test of a long wait takes little time.
class LockstepClock {
 public:
  explicit LockstepClock(const Topology& topology) : ticks_(topology) {}

  double now_s() {
    if (!ticks_.first_behind(0, mine_)) ticks_.set(0, ++mine_);
    return static_cast<double>(mine_) * tick_s;
  }

  void sleep_s(double seconds) {
    const double end_s = now_s() + seconds;
    while (now_s() < end_s) sched_yield();
  }

 private:
  const double tick_s = StallTimes(timeout_s).beat_s / 5;
  NodeCounters ticks_;
  std::uint64_t mine_ = 0;
};

class Stall : public testing::Test {
 protected:
  Stall() {
    world().stall_watch().set_clock([this] { return clock_.now_s(); });
  }
  ~Stall() override { world().stall_watch().set_clock(now_s); }

  static int last() { return world().size() - 1; }

  static std::string error_of(const Action& action) {
    try {
      action();
    } catch (const CommError& error) {
      EXPECT_EQ(error.code(), ExitCode::communication);
      EXPECT_FALSE(error.agreed()) << "it must end the world";
      return error.what();
    }
    return "no error";
  }

  /// All ranks but one wait in `action`, and must get an error that names the missing one. When all have it,
  /// the missing rank does `late_action`. So the calls of MPI that the others have begun in `action` come to
  /// an end.
  void expect_named(int missing, const Action& action, const Action& late_action,
                    const std::string& time = "for 300 s (runconfig.stall_timeout)") {
    if (world().rank() == missing) {
      wait_until_all_have_given_up();
      late_action();
    } else {
      EXPECT_THAT(error_of(action), HasSubstr(fmt::format("rank {} has not arrived {}", missing, time)));
      wait_until_all_have_given_up();
    }
    world().barrier();
  }
  void expect_named(int missing, const Action& action) { expect_named(missing, action, action); }

  void sleep_s(double seconds) { clock_.sleep_s(seconds); }

  /// Waits without MPI. In a wait of MPI this rank would send notes that it waits.
  void wait_until_all_have_given_up() {
    given_up_.set(0, ++calls_);
    while (given_up_.first_behind(0, calls_)) {
      clock_.now_s();
      sched_yield();
    }
  }

 private:
  Topology topology_{world()};
  NodeCounters given_up_{topology_};
  LockstepClock clock_{topology_};
  std::uint64_t calls_ = 0;
};

struct Call {
  Action action;
  /// What the late rank does: the first call of MPI in `action`. The other ranks never come to the second
  /// one.
  Action first_part = action;
};

/// All calls that wait for all ranks of a group.
std::vector<Call> collective_calls() {
  const Action sum_one = [] {
    double number[] = {1.0};
    world().sum(number);
  };
  const Action sum_integers = [] {
    std::vector<std::int64_t> numbers(100, 1);
    world().sum(std::span(numbers));
  };
  return {{[] { world().barrier(); }},
          {sum_one},
          {sum_integers},
          {[] { static_cast<void>(world().max(1.0)); }},
          {[] { static_cast<void>(world().min(1)); }},
          {[] { static_cast<void>(world().all_gather("text")); },
           [] { static_cast<void>(world().all_gather(std::uint64_t{})); }},
          {[] { collectively(world(), {}); }}};
}

TEST_F(Stall, NamesTheMissingRankInEveryCollectiveCall) {
  int missing = 0;
  for (const Call& call : collective_calls()) {
    expect_named(missing, call.action, call.first_part);
    missing = (missing + 1) % world().size();
  }
}

TEST_F(Stall, NamesTheRootOfABroadcast) {
  std::vector<float> numbers(50'000, 1.0F);
  expect_named(last(), [&] { world().broadcast(numbers, last()); });
  expect_named(
      0, [] { static_cast<void>(world().broadcast("text", 0)); },
      [] { static_cast<void>(world().broadcast(std::uint64_t{}, 0)); });  // the length of the text
}

// These functions make calls of MPI that wait without a limit. So they first wait for all ranks, in a barrier or in a
// sum.
TEST_F(Stall, NamesTheMissingRankBeforeCallsThatCannotBePolled) {
  const Action barrier = [] { world().barrier(); };
  expect_named(
      0, [] { static_cast<void>(world().split(0)); }, barrier);
  expect_named(
      last(), [] { static_cast<void>(world().split_by_node()); }, barrier);
  expect_named(
      0, [] { const SharedWindow window(world(), 100); },
      [] {
        std::int64_t bytes[] = {0};
        world().sum(bytes);
      });
}

TEST_F(Stall, NamesTheMissingRankInANodeBarrier) {
  const Topology topology(world());
  NodeBarrier barrier(topology, PolledWait::in_step(world().stall_watch(), true));
  for (const int missing : {0, last()}) {
    expect_named(missing, [&] { barrier.wait(); });
  }
}

/// The world has one node, or several. With several nodes some ranks wait for a node whose leader waits too.
TEST_F(Stall, NamesTheMissingRankInTheGradientExchange) {
  Layout layout;
  layout.add("weight", 10, 100);
  for (const int ranks_per_node : {0, 1, 2}) {
    const Topology topology(world(), ranks_per_node);
    for (const int missing : {0, last()}) {
      GradientExchange<float> exchange(topology, layout, {{0, layout.size()}}, 1, CommOptions(), true);
      const double small[] = {1.0};
      const auto write = [&] {
        exchange.begin(small);
        exchange.post();
      };
      const auto finish = [&] {
        exchange.wait_for_node();
        static_cast<void>(exchange.finish());
      };
      if (world().rank() != missing) write();
      expect_named(missing, finish, write);
      // On one node there is nothing left to finish: all ranks but the missing one have left the barrier of
      // finish() by the error.
      if (topology.node_count() > 1) finish();
    }
  }
}

TEST_F(Stall, ARankThatComesInTimeIsWaitedFor) {
  int late = 0;
  for (const Call& call : collective_calls()) {
    if (world().rank() == late) sleep_s(0.5 * timeout_s);
    call.action();
    late = (late + 1) % world().size();
  }
}

TEST_F(Stall, AnEarlierOneMisleadsNobody) {
  for (int late = 0; late < world().size(); ++late) {
    if (world().rank() == late) sleep_s(0.7 * timeout_s);  // The others send it notes that they wait.
    world().barrier();
  }
  expect_named(last(), [] { world().barrier(); });
}

TEST_F(Stall, LongWorkHasALimitOfItsOwn) {
  const auto work = [this](double seconds) {
    return world().rank() == 0 ? [this, seconds] { sleep_s(seconds); } : Action();
  };
  EXPECT_NO_THROW(collectively(world(), work(2.5 * timeout_s), 2 * timeout_s));
  expect_named(
      0, [] { collectively(world(), {}, timeout_s); }, [] { collectively(world(), {}); },
      "for 600 s (runconfig.stall_timeout after 300 s for work)");
}

TEST_F(Stall, WhenAllWaitNoneIsNamed) {
  const Communicator one = world().split(0), other = world().split(0);
  const bool is_first = world().rank() == 0;
  const std::string error = error_of([&] { (is_first ? one : other).barrier(); });
  EXPECT_THAT(error, HasSubstr("none is missing"));
  wait_until_all_have_given_up();
  (is_first ? other : one).barrier();
  world().barrier();  // All ranks have ended the calls that they had given up.
}

}  // namespace
}  // namespace fcmnist::comm

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fcmnist::store {

/// Where the time of one rank went: seconds per step, a mean over the steps since the log line before.
struct RankTime {
  float compute_s = 0;  ///< forward, loss and backward
  float exchange_s =
      0;             ///< waiting for the others, summing gradients, updating weights, messages between stages
  float wait_s = 0;  ///< of exchange_s, waiting until the gradients of all ranks are there
  float sum_s = 0;   ///< of exchange_s, summing what must be known before the update
  float update_s = 0;  ///< of exchange_s, updating weights and taking those of others
  float data_s = 0;    ///< getting the batch
  float files_s = 0;   ///< writing files
  float exposed_s =
      0;  ///< of wait_s, waiting for other nodes and stages; NaN in rows of releases that did not measure it
  bool operator==(const RankTime&) const = default;
};

/// The times of all ranks at a log line; beyond most_ranks of them, the least, the mean and the greatest.
struct RankRow {
  std::int64_t step = 0;
  bool is_summary = false;
  std::vector<RankTime> ranks;  ///< in rank order; in a summary min, mean, max
  bool operator==(const RankRow&) const = default;
};

/// Of more ranks, rows are summaries: a row has 32 bytes for each.
constexpr std::size_t most_ranks = 4096;

RankRow rank_row(std::int64_t step, std::vector<RankTime> ranks);

/// Calls visit(name, member, long name) for each number of a rank. Files and journal, writing and reading share
/// this list.
template <class Visit>
void for_each_rank_column(Visit visit) {
  visit("compute_s", &RankTime::compute_s, "time of forward, loss and backward");
  visit("exchange_s", &RankTime::exchange_s, "time of the gradient exchange, waiting included");
  visit("wait_s", &RankTime::wait_s, "of exchange_s, time of waiting for the gradients of all ranks");
  visit("sum_s", &RankTime::sum_s, "of exchange_s, time of summing what must be known before the update");
  visit("update_s", &RankTime::update_s,
        "of exchange_s, time of updating weights and taking those of other ranks");
  visit("data_s", &RankTime::data_s, "time to get the batch");
  visit("files_s", &RankTime::files_s, "time of writing files");
  visit("exposed_s", &RankTime::exposed_s,
        "of wait_s, time from when the gradients of the node are there until those of all nodes are summed");
}

}  // namespace fcmnist::store

#include "store/rank_rows.hpp"

#include <algorithm>
#include <utility>

namespace fcmnist::store {

RankRow rank_row(std::int64_t step, std::vector<RankTime> ranks) {
  if (ranks.size() <= most_ranks) return {step, false, std::move(ranks)};
  RankTime least, mean, greatest;
  for_each_rank_column([&](const char*, auto member, const char*) {
    double sum = 0.0;
    for (const RankTime& rank : ranks) sum += rank.*member;
    const auto [low, high] =
        std::ranges::minmax_element(ranks, {}, [&](const RankTime& rank) { return rank.*member; });
    least.*member = (*low).*member;
    mean.*member = static_cast<float>(sum / static_cast<double>(ranks.size()));
    greatest.*member = (*high).*member;
  });
  return {step, true, {least, mean, greatest}};
}

}  // namespace fcmnist::store

#include "model/working_weights.hpp"

#include <algorithm>
#include <type_traits>

#include "core/convert.hpp"

namespace fcmnist::model {

void WorkingWeights::round(Range numbers, ArenaView<const float> masters) const {
  const std::span<const float> from = masters.all().subspan(numbers.begin, numbers.size());
  with_number_type(precision_, [&]<class T>() {
    const std::span<T> to = as<T>().all().subspan(numbers.begin, numbers.size());
    if constexpr (std::is_same_v<T, float>) {
      std::ranges::copy(from, to.begin());
    } else {
      convert(from, to);
    }
  });
}

}  // namespace fcmnist::model

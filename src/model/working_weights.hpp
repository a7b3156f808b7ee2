#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include "core/arena.hpp"
#include "core/error.hpp"
#include "core/share.hpp"
#include "model/options.hpp"

namespace fcmnist::model {

/// A view of working weights, whatever numbers a precision stores them in; owns nothing.
class WorkingWeights {
 public:
  /// `numbers`: layout.size() numbers of the precision.
  WorkingWeights(const Layout& layout, Precision precision, std::byte* numbers)
      : layout_(&layout), precision_(precision), numbers_(numbers) {}

  [[nodiscard]] Precision precision() const { return precision_; }
  /// T must be the type that the precision has.
  template <class T>
  [[nodiscard]] ArenaView<T> as() const {
    FCMNIST_CHECK(precision_of_type<std::remove_const_t<T>> == precision_, "type of the working weights");
    return {*layout_, reinterpret_cast<T*>(numbers_)};
  }
  /// Rounds these numbers of the master weights, which have the same layout, to the working weights.
  void round(Range numbers, ArenaView<const float> masters) const;

 private:
  const Layout* layout_;
  Precision precision_;
  std::byte* numbers_;
};

}  // namespace fcmnist::model

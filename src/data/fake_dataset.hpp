#pragma once

#include <cstdint>
#include <span>

#include "data/dataset.hpp"

namespace fcmnist::data {

/// Labelled patterns for runs without files: 12,000 training and 2,000 test samples of 28 x 28.
DatasetShape fake_dataset_shape(Split split);

/// Fills the storage of a fake split. The numbers are the same in every run and on every rank.
///
/// Each class has two prototypes, smooth random pictures that both splits share. A sample is one of them,
/// shifted by up to two pixels, under noise. An MLP learns them to more than 95 %; the nearest class mean is
/// right much less often, so that a network that does not train shows.
///   images  (samples x features)  written
///   labels  (samples)             written: 0 <= label < num_classes, about equally often
/// shape must be fake_dataset_shape(split), num_classes 1 to 256.
void fill_fake(Split split, const DatasetShape& shape, int num_classes, std::span<std::uint8_t> images,
               std::span<std::uint8_t> labels);

}  // namespace fcmnist::data

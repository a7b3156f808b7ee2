#include "plan/made_up_data.hpp"

#include <algorithm>
#include <cstdint>
#include <random>
#include <span>

namespace fcmnist::plan {

namespace {

// Like MNIST's images: 19 % of the pixels are set, in one of four images at least 36 %, and neighbours are mostly alike. So half of
// the images are set in each pair of neighbours in the middle of the image, and none at its border.
constexpr double middle = 0.38;

void draw_with_zeros(std::span<std::uint8_t> images, std::size_t features) {
  std::minstd_rand random(1);
  std::ranges::fill(images, std::uint8_t{0});
  const auto size = static_cast<double>(features);
  const auto begin = static_cast<std::size_t>((1.0 - middle) / 2.0 * size);
  const auto end = static_cast<std::size_t>((1.0 + middle) / 2.0 * size);
  for (std::size_t image = 0; image < images.size(); image += features) {
    for (std::size_t i = begin; i < end; i += 2) {
      const bool is_set = (random() >> 16U & 1U) != 0;
      if (is_set)
        std::ranges::fill(images.subspan(image + i, std::min<std::size_t>(2, end - i)), std::uint8_t{200});
    }
  }
}

}  // namespace

train::SharedDataset made_up_data(const comm::Topology& topology, const data::DatasetShape& shape,
                                  const model::MlpOptions& model) {
  const auto classes = static_cast<unsigned>(model.num_classes);
  return {topology, shape, model.num_classes,
          [&](std::span<std::uint8_t> images, std::span<std::uint8_t> labels) {
            std::minstd_rand random(1);
            if (model.input_products == model::InputProducts::sparse) {
              draw_with_zeros(images, shape.features());
            } else {
              std::ranges::generate(images, [&] { return static_cast<std::uint8_t>(random() >> 8U); });
            }
            std::ranges::generate(labels, [&] { return static_cast<std::uint8_t>(random() % classes); });
          }};
}

data::DatasetShape enough_to_measure(data::DatasetShape shape, std::size_t step_samples) {
  constexpr std::size_t least = 8192, steps = 8;
  shape.samples = std::min(shape.samples, std::max(least, steps * step_samples));
  return shape;
}

}  // namespace fcmnist::plan

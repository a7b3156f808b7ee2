#include "setup/input_products.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "config/readers.hpp"
#include "core/error.hpp"
#include "data/dataset_files.hpp"
#include "data/idx_file.hpp"

namespace fcmnist::setup {

namespace {

constexpr const char* input_products_entry = "input_products";

/// Why this model has no sparse products; nothing if it can have them.
std::optional<std::string> obstacle(const config::RunConfig& config) {
  if (config.model.hidden_sizes.empty()) return "the model has no hidden layer";
  if (config.model.precision != model::Precision::float32) return "the precision is not float32";
  if (config.model.input_dropout > 0.0)
    return "model.input_dropout drops pixels, which then are no background";
  if (config.optimizer.max_weight_norm > 0.0)
    return "optimizer.max_weight_norm needs the weights of a unit side by side";
  if (config.model.hidden_sizes.front() < model::least_sparse_units) {
    return fmt::format("the first layer has {} units, and {} at least are worth while",
                       config.model.hidden_sizes.front(), model::least_sparse_units);
  }
  return std::nullopt;
}

double share_of_set_pixels(const data::InputOptions& input, const data::DatasetShape& images) {
  data::IdxFile file(data::locate(input).images, data::IdxKind::images);
  std::vector<std::uint8_t> pixels(std::min(images.samples, images_looked_at) * images.features());
  file.read_first(pixels);
  const auto zeros = std::ranges::count(pixels, std::uint8_t{0});
  return 1.0 - static_cast<double>(zeros) / static_cast<double>(pixels.size());
}

}  // namespace

InputProducts settle_input_products(const Context& context, const config::RunConfig& config,
                                    const data::DatasetShape& images, const store::Checkpoint* checkpoint) {
  using Asked = kernels::InputProducts;
  using model::InputProducts::dense, model::InputProducts::sparse;
  const Asked asked = config.kernels.input_products;
  const auto no = obstacle(config);
  if (asked == Asked::sparse && no) {
    throw UsageError(fmt::format("runconfig.input_products sparse: {}", *no), "auto or dense").as_agreed();
  }
  if (asked == Asked::dense || no) return {dense, {}};

  std::optional<model::InputProducts> used;
  if (checkpoint != nullptr) used = input_products_of(checkpoint->header().manifest);
  used = context.world().broadcast(used, 0);
  if (asked == Asked::automatic && used) return {*used, {}};
  if (config.train_input.use_fake_data) return {asked == Asked::sparse ? sparse : dense, {}};
  double share = 0.0;
  on_root(context.world(), [&] { share = share_of_set_pixels(config.train_input, images); });
  share = context.world().broadcast(share, 0);
  if (config.train_input.mixup > 0.0) share = 1.0 - (1.0 - share) * (1.0 - share);  // of two images
  return {asked == Asked::sparse || share < sparse_below ? sparse : dense, share};
}

void say_input_products(const InputProducts& found, Logger& log) {
  if (!found.share) return;
  const bool is_sparse = found.products == model::InputProducts::sparse;
  log.info("first layer: {} products; {:.0f} % of the pixels are not zero", is_sparse ? "sparse" : "dense",
           100.0 * *found.share);
}

void add_to_manifest(const InputProducts& found, store::Manifest& manifest) {
  const bool is_sparse = found.products == model::InputProducts::sparse;
  manifest.add(input_products_entry, std::string(is_sparse ? "sparse" : "dense"));
  if (found.share) manifest.add("nonzero_pixel_share", *found.share);
}

model::InputProducts input_products_of(const store::Manifest& manifest) {
  const store::ManifestValue* value = manifest.find(input_products_entry);
  const auto* word = value == nullptr ? nullptr : std::get_if<std::string>(value);
  const bool is_sparse = word != nullptr && *word == "sparse";
  return is_sparse ? model::InputProducts::sparse : model::InputProducts::dense;
}

}  // namespace fcmnist::setup

#pragma once

#include <optional>

#include "config/run_config.hpp"
#include "core/log.hpp"
#include "model/options.hpp"
#include "setup/context.hpp"
#include "store/checkpoint.hpp"
#include "store/manifest.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::setup {

/// How the first layer of a run is multiplied, and what has decided it.
struct InputProducts {
  model::InputProducts products = model::InputProducts::dense;
  std::optional<double> share;  ///< of the pixels that are not zero; nothing if nobody has looked
};

/// runconfig.input_products auto: sparse if fewer of the pixels than this are not zero, in the first
/// `images_looked_at` images of the training set.
inline constexpr double sparse_below = 0.4;
inline constexpr std::size_t images_looked_at = 1000;

/// A function of the configuration and the training set alone. Collective; all ranks throw the same UsageError if sparse
/// products are asked for that this model cannot have, and the same DataError if the images cannot be read.
///   config      with the precision in effect
///   checkpoint  on rank 0, of a run that goes on, or nullptr: auto is what it has used, as far as this model can have it
InputProducts settle_input_products(const Context& context, const config::RunConfig& config,
                                    const data::DatasetShape& images, const store::Checkpoint* checkpoint);

void say_input_products(const InputProducts& found, Logger& log);
void add_to_manifest(const InputProducts& found, store::Manifest& manifest);
/// What the run of a checkpoint has used.
model::InputProducts input_products_of(const store::Manifest& manifest);

}  // namespace fcmnist::setup

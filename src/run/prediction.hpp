#pragma once

#include "setup/context.hpp"

namespace fcmnist::run {

/// Mode predict: what a checkpoint, chosen as in the mode eval, says about the images of eval_input.images, which have no
/// labels. Writes it to <model_dir>/predicted.h5, or if that is there to predicted_<n>.h5. Collective; all ranks throw
/// the same errors.
void run_prediction(const setup::Context& context);

}  // namespace fcmnist::run

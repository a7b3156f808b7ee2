#include "run/prediction.hpp"

#include <fmt/format.h>

#include <utility>

#include "comm/host_memory.hpp"
#include "config/load.hpp"
#include "run/checkpoint_queue.hpp"
#include "run/memory_check.hpp"
#include "run/scored_set.hpp"
#include "run/scorer.hpp"
#include "setup/arithmetic.hpp"
#include "setup/datasets.hpp"
#include "store/model_dir.hpp"
#include "store/predictions_file.hpp"
#include "store/sealed_file.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::run {

namespace {

/// In a new file, since several predictions may end at once.
void write(const setup::Context& context, const store::Predictions& predictions,
           const store::Manifest& manifest) {
  const store::ModelDir model_dir(context.config().run.model_dir);
  const auto image = store::predictions_image(model_dir.predicted_file(0), predictions,
                                              config::to_yaml(context.config()), manifest);
  const auto path = store::write_sealed_as_new([&](int n) { return model_dir.predicted_file(n); }, 0,
                                               store::FileKind::predictions, image);
  context.log().info("files: {}", path.string());
}

}  // namespace

void run_prediction(const setup::Context& context) {
  const config::RunConfig& config = context.config();
  const comm::Topology& topology = context.topology();
  const comm::Communicator& world = context.world();
  CheckpointQueue queue(context);
  // The file is all that is asked for, so a place for it comes before the work.
  setup::on_root(world, [&] { store::ModelDir(config.run.model_dir).ensure_writable(); });
  const data::DatasetShape shape = setup::find_dataset(topology, config.eval_input, context.log());
  comm::check_shared_memory(topology, topology.is_leader() ? train::SharedDataset::bytes(shape) : 0);
  check_evaluation_memory(context, config, shape);
  const setup::LoadedSet images = setup::read_dataset(
      topology, config.eval_input, shape, config.model.num_classes, setup::Role::test, context.log());

  queue.next();
  const store::Checkpoint* checkpoint = queue.current();
  const auto arithmetic =
      setup::settle_arithmetic(world, config.model, setup::arithmetic_of(world, checkpoint));
  setup::say_arithmetic(arithmetic, config.model, context.log());
  const data::Dataset view = images.samples.view();
  Scorer scorer(context, scoring_config(world, config, arithmetic.precision, checkpoint), view);
  train::EvaluationResult result = scorer.score(checkpoint, true);
  setup::on_root(world, [&] {
    const std::int64_t step = checkpoint->header().state.step;
    context.log().info("| Predict Device=cpu Step={} Samples={}", step, result.samples);
    store::Manifest manifest = context.manifest();
    setup::add_to_manifest(images.identity, setup::Role::test, manifest);
    setup::add_to_manifest(arithmetic, manifest);
    if (is_average_scored(config.eval_input.weights, *checkpoint))
      manifest.add("scored_weights", std::string(averaged_weights));
    write(context, {step, {}, std::move(result.predicted), std::move(result.logits)}, manifest);
  });
}

}  // namespace fcmnist::run

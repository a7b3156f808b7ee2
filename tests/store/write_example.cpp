// Writes a checkpoint, a metrics and a predictions file of known content into a directory, for programs that read them back:
//   store_write_example DIRECTORY [no-rows | journal]
// With "journal" the run went back from step 1500 to 1490, did 47 steps, evaluated, and was killed.
#include <cstdio>
#include <string_view>

#include "store/checkpoint.hpp"
#include "store/metrics_file.hpp"
#include "store/model_dir.hpp"
#include "store/predictions_file.hpp"
#include "store/sealed_file.hpp"
#include "store/support.hpp"

int main(int argc, char** argv) {
  using namespace fcmnist;
  using namespace fcmnist::store;
  if (argc < 2) return 2;
  const std::string_view how = argc > 2 ? argv[2] : "";
  const bool with_rows = how != "no-rows";
  try {
    const ModelDir model_dir(argv[1]);
    model_dir.ensure_writable();
    const CheckpointHeader header = example_header();

    const Layout layout = mlp_layout({784, 30, 20, 10});
    Arena<float> weights(layout), momentum(layout);
    fill(weights.view(), 1);
    for (const Slot& slot : layout.slots()) {  // numbers that a reader can compute again
      for (std::size_t i = 0; i < slot.count(); ++i) {
        momentum.view().data()[slot.offset + i] = static_cast<float>(i) / 8;
      }
    }
    write_checkpoint(model_dir.checkpoint_file(header.state.step), header, weights.view(),
                     std::vector<OptimizerArray>{{"momentum_buffer", momentum.view()}});

    const Predictions predictions = {
        header.state.step, {1, 0, 2}, {1, 2, 2}, {0.5F, 1.5F, 0.25F, 0.0F, -1.0F, 3.0F, 0.125F, 0.25F, 8.0F}};
    const auto predictions_path = model_dir.predictions_file();
    write_sealed(predictions_path, FileKind::predictions,
                 predictions_image(predictions_path, predictions, header.config_yaml, header.manifest));

    const auto log = make_logger("info", false);
    MetricsFile metrics = MetricsFile::open_or_create(
        model_dir.metrics_file(),
        {10, {"fc_layers.0.weight", "fc_layers.0.bias"}, {"node01", "node01", "node02"}, {"0", "1", "0 1"}},
        header.config_yaml, header.manifest, *log);
    metrics.truncate_after(0);
    for (long step = 1; with_rows && step <= 1500; ++step) metrics.append(train_row(step));
    for (long step = 500; with_rows && step <= 1500; step += 500) metrics.append(eval_row(step, 10));
    for (long step = 500; with_rows && step <= 1500; step += 500) metrics.append(rank_row_of(step, 3));
    metrics.write();
    if (how == "journal") {
      metrics.truncate_after(1490);
      for (long step = 1491; step <= 1537; ++step) metrics.append(train_row(step));
      metrics.append(rank_row_of(1537, 2));
      metrics.append(eval_row(1537, 10));
      metrics.journal();
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

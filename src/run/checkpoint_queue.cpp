#include "run/checkpoint_queue.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "core/error.hpp"
#include "setup/start_point.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::run {

CheckpointQueue::CheckpointQueue(const setup::Context& context)
    : context_(&context), model_dir_(context.config().run.model_dir) {
  setup::on_root(context.world(), [&] {
    if (context.config().run.mode == config::Mode::eval_all) {
      steps_ = model_dir_.checkpoint_steps();
    } else if (!context.arguments().checkpoint_path.empty()) {
      single_ = store::Checkpoint::read(context.arguments().checkpoint_path);
    } else {
      single_ = setup::newest_intact_checkpoint(model_dir_, context.log());
    }
    if (steps_.empty() && !single_) throw no_checkpoint(model_dir_);
  });
}

bool CheckpointQueue::next() {
  bool found = false;
  setup::on_root(context_->world(), [&] {
    current_ = std::exchange(single_, std::nullopt);
    while (!current_ && next_ < steps_.size()) current_ = read(steps_[next_++]);
    found = current_.has_value();
  });
  return context_->world().broadcast(found, 0);
}

std::optional<store::Checkpoint> CheckpointQueue::read(std::int64_t step) {
  try {
    return store::Checkpoint::read(model_dir_.checkpoint_file(step));
  } catch (const store::UnusableFileError& error) {
    context_->log().warn("{}; left out", error.what());
  } catch (const StoreError&) {
    std::error_code unknown;
    if (std::filesystem::exists(model_dir_.checkpoint_file(step), unknown)) throw;
    context_->log().info("checkpoint_{} is gone: the run goes on and keeps only its newest", step);
  }
  return std::nullopt;
}

StoreError no_checkpoint(const store::ModelDir& model_dir) {
  return StoreError(fmt::format("{}: no checkpoint to evaluate", model_dir.path().string()),
                    "train first, or name a file with --checkpoint_path or a run with -o/--model_dir");
}

}  // namespace fcmnist::run

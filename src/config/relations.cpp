#include "config/relations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "config/optimizer_parameters.hpp"
#include "config/readers.hpp"
#include "core/error.hpp"
#include "core/fixed_point.hpp"

namespace fcmnist::config {

namespace {

void settle_hidden_sizes(const Given& given, Draft& draft, std::vector<std::string>& notes) {
  const std::string sizes = "model.hidden_sizes", depth = "model.depth", width = "model.hidden_size";
  if (!draft.depth && !draft.hidden_size) return;
  const GivenBy pair = std::max(given.by(depth), given.by(width));
  if (given.has(sizes) && given.by(sizes) >= pair) {
    if (given.by(sizes) == pair) {
      notes.push_back(
          fmt::format("{}: model.hidden_sizes is given, so model.depth and model.hidden_size do not count",
                      given.where(sizes)));
    }
    return;
  }
  if (!draft.depth || !draft.hidden_size) {
    const std::string& present = draft.depth ? depth : width;
    const std::string& missing = draft.depth ? width : depth;
    throw UsageError(fmt::format("{}: {} without {}", given.where(present), present, missing),
                     "give both (depth hidden layers of hidden_size units), or model.hidden_sizes");
  }
  draft.config.model.hidden_sizes.assign(static_cast<std::size_t>(*draft.depth), *draft.hidden_size);
}

void check_dropout(const Given& given, const RunConfig& config) {
  const model::MlpOptions& model = config.model;
  const std::size_t found = model.dropout.layers().size(), expected = model.hidden_sizes.size();
  if (found > 0 && found != expected) {
    throw UsageError(
        fmt::format("{}: model.dropout: found a list of {}, expected one of {}: a number for each "
                    "hidden layer (model.hidden_sizes {})",
                    given.where("model.dropout"), found, expected, write(model.hidden_sizes)),
        "one number without brackets is for all hidden layers");
  }
  if (model.input_dropout > 0.0 && config.kernels.input_products == kernels::InputProducts::sparse) {
    throw UsageError(
        fmt::format("{}: runconfig.input_products sparse with model.input_dropout {}: sparse products leave "
                    "out the background, and a pixel that is dropped is none",
                    given.where("runconfig.input_products"), write(model.input_dropout)),
        "runconfig.input_products auto or dense, or model.input_dropout 0.0");
  }
}

void settle_batch_size(const Given& given, const std::string& section, data::InputOptions& input) {
  const std::string global = section + ".batch_size", per_replica = section + ".batch_size_per_replica";
  if (!given.has(per_replica) || given.by(global) > given.by(per_replica)) {
    input.batch_size_per_replica = 0;
    return;
  }
  if (given.by(global) == given.by(per_replica)) {
    throw UsageError(
        fmt::format("{}: {} and {} are both given", given.where(per_replica), global, per_replica),
        "batch_size is divided among the replicas, batch_size_per_replica is multiplied: keep one");
  }
  input.batch_size = 0;
}

void settle_length(const Given& given, Draft& draft) {
  RunOptions& run = draft.config.run;
  const GivenBy steps = given.by("runconfig.max_steps"), epochs = given.by("runconfig.num_epochs");
  if (steps > epochs) run.num_epochs = 0;
  if (epochs > steps) run.max_steps = 0;
}

void settle_eval_data(const Given& given, RunConfig& config) {
  const data::InputOptions& train = config.train_input;
  data::InputOptions& eval = config.eval_input;
  if (!given.has("eval_input.data_dir")) eval.data_dir = train.data_dir;
  if (!given.has("eval_input.download")) eval.download = train.download;
  if (!given.has("eval_input.mirrors")) eval.mirrors = train.mirrors;
  if (!given.has("eval_input.use_fake_data")) eval.use_fake_data = train.use_fake_data;
}

/// Nesterov's form of a file does not count when the command line takes the momentum away.
void settle_nesterov(const Given& given, optim::OptimizerOptions& optimizer) {
  const std::string momentum = "optimizer.momentum", nesterov = "optimizer.use_nesterov";
  if (optimizer.momentum == 0 && given.by(momentum) > given.by(nesterov)) optimizer.use_nesterov = false;
}

void check_optimizer(const Given& given, const optim::OptimizerOptions& optimizer) {
  if (optimizer.max_gradient_norm > 0 && optimizer.max_gradient_value > 0) {
    throw UsageError(
        fmt::format("{}: optimizer.max_gradient_norm {} and optimizer.max_gradient_value {} are both given",
                    given.where("optimizer.max_gradient_value"), optimizer.max_gradient_norm,
                    optimizer.max_gradient_value),
        "clip by one of them; 0 switches the other off");
  }
  const bool takes_nesterov =
      optimizer.type == optim::OptimizerType::sgd || optimizer.type == optim::OptimizerType::lars;
  if (takes_nesterov && optimizer.use_nesterov && optimizer.momentum == 0) {
    throw UsageError(fmt::format("{}: optimizer.use_nesterov True needs optimizer.momentum above 0, found 0",
                                 given.where("optimizer.use_nesterov")),
                     "set optimizer.momentum 0.9, or optimizer.use_nesterov False");
  }
  if (optimizer.type == optim::OptimizerType::rmsprop && optimizer.alpha.value_or(0.0) > 1.0) {
    throw UsageError(fmt::format("{}: optimizer.alpha of RMSprop: expected a number from 0 to 1, found {}",
                                 given.where("optimizer.alpha"), *optimizer.alpha));
  }
  if (optimizer.step_size_min && optimizer.step_size_max &&
      *optimizer.step_size_min > *optimizer.step_size_max) {
    throw UsageError(fmt::format("{}: optimizer.step_size_min {} is larger than step_size_max {}",
                                 given.where("optimizer.step_size_min"), *optimizer.step_size_min,
                                 *optimizer.step_size_max));
  }
  if (optimizer.average_from_step > 0 && optimizer.average_decay == 0) {
    throw UsageError(fmt::format("{}: optimizer.average_from_step {} without optimizer.average_decay",
                                 given.where("optimizer.average_from_step"), optimizer.average_from_step),
                     "set optimizer.average_decay 0.999, or 1 for the mean of all weights from that step on");
  }
  const optim::LossScaleOptions& scale = optimizer.loss_scale;
  if (scale.factor == optim::LossScaleOptions::dynamic &&
      !(scale.min <= scale.initial && scale.initial <= scale.max)) {
    throw UsageError(
        fmt::format("{}: optimizer.loss_scaling_factor dynamic needs min_loss_scale <= initial_loss_scale <= "
                    "max_loss_scale, found {}, {}, {}",
                    given.where("optimizer.loss_scaling_factor"), write(scale.min), write(scale.initial),
                    write(scale.max)));
  }
}

void check_early_stopping(const Given& given, const RunConfig& config) {
  if (config.run.early_stopping == 0) return;
  const std::string key = "runconfig.early_stopping";
  if (config.train_input.validation_size == 0) {
    throw UsageError(
        fmt::format("{}: {} {} without train_input.validation_size", given.where(key), key,
                    config.run.early_stopping),
        "hold samples out, for example train_input.validation_size 10000: the test set chooses nothing");
  }
  if (config.run.eval_frequency == 0) {
    throw UsageError(fmt::format("{}: {} {} without runconfig.eval_frequency", given.where(key), key,
                                 config.run.early_stopping),
                     "set how many steps lie between validations, for example runconfig.eval_frequency 469");
  }
}

/// Stages of the file do not count when the command line chose an execution that has none.
void settle_stages(const Given& given, RunOptions& run) {
  const std::string execution = "runconfig.execution", stages = "runconfig.pipeline_stages";
  if (run.execution == Execution::layer_pipelined || run.pipeline_stages <= 1) return;
  if (given.has(execution) && given.by(execution) > given.by(stages)) {
    run.pipeline_stages = 0;
    return;
  }
  throw UsageError(fmt::format("{}: {} {} without {} layer_pipelined", given.where(stages), stages,
                               run.pipeline_stages, execution),
                   "add runconfig.execution layer_pipelined, or leave pipeline_stages out");
}

bool trains(const RunConfig& config) {
  return config.run.mode == Mode::train || config.run.mode == Mode::train_and_eval;
}

void check_layers(const RunConfig& config, int stages) {
  const int layers = layer_count(config);
  if (stages <= layers) return;
  if (config.run.pipeline_stages == 0) {
    throw UsageError(fmt::format("ranks / runconfig.num_replicas {} gives {} stages for {} layers "
                                 "(model.hidden_sizes): a stage has at least one layer",
                                 config.run.num_replicas, stages, layers),
                     "use more replicas or fewer ranks, or leave num_replicas out");
  }
  throw UsageError(fmt::format("{} stages for {} layers (runconfig.pipeline_stages, model.hidden_sizes): a "
                               "stage has at least one layer",
                               stages, layers),
                   fmt::format("runconfig.pipeline_stages {} or fewer; more ranks can be replicas", layers));
}

/// The number of stages when the ranks are so many replicas.
int stages_for_replicas(int ranks, int replicas) {
  if (ranks % replicas == 0) return ranks / replicas;
  throw UsageError(fmt::format("runconfig.num_replicas {} does not divide the {} ranks: ranks = "
                               "replicas x stages",
                               replicas, ranks),
                   fmt::format("mpirun -n {}, or leave num_replicas out", (ranks / replicas + 1) * replicas));
}

int default_stages(int ranks, int layers) {
  for (int stages = 2; stages <= std::min(ranks, layers); ++stages) {
    if (ranks % stages == 0) return stages;
  }
  return 1;
}

void check_reproducible(const Given& given, const RunConfig& config) {
  if (!config.run.reproducible) return;
  const auto refuse_per_replica = [&](const std::string& section) {
    throw UsageError(
        fmt::format("{}: runconfig.reproducible True needs {}.batch_size, found {}.batch_size_per_replica",
                    given.where(section + ".batch_size_per_replica"), section, section),
        "a batch that grows with the number of ranks gives other results on each");
  };
  if (config.train_input.batch_size_per_replica > 0) refuse_per_replica("train_input");
  if (config.eval_input.batch_size_per_replica > 0 && config.run.eval_steps > 0) {
    refuse_per_replica("eval_input");
  }
  if (config.comm.wire_type != comm::WireType::float32) {
    throw UsageError(
        fmt::format("{}: runconfig.reproducible True needs runconfig.wire_type float32, found {}",
                    given.where("runconfig.wire_type"), write_choice(config.comm.wire_type, wire_types)),
        "sums of rounded numbers depend on which node adds what");
  }
  if (config.kernels.blas_threads == 1) return;
  throw UsageError(
      fmt::format("{}: runconfig.reproducible True needs runconfig.blas_threads 1, found {}",
                  given.where("runconfig.blas_threads"), config.kernels.blas_threads),
      "how a matrix product is divided among threads changes its last bits: use more ranks instead");
}

/// Every replica computes whole microbatches, at least one in a full step.
void check_microbatches(const RunConfig& config, int replicas, int stages, long global_batch) {
  const auto size = static_cast<long>(microbatch_size(config));
  if (size == 0) return;
  const long samples = global_batch * config.optimizer.grad_accum_steps;
  const long count = (samples + size - 1) / size;
  const std::string arithmetic =
      fmt::format("a step of {} samples in microbatches of {} (runconfig.microbatch) has {} of them", samples,
                  size, count);
  if (count < replicas) {
    throw UsageError(
        fmt::format("{}, but there are {} replicas: {} of them would have none", arithmetic, replicas,
                    replicas - count),
        fmt::format("runconfig.microbatch {} or smaller, a larger batch_size, or mpirun -n {} or fewer",
                    std::max(samples / replicas, 1L), count * stages));
  }
  if (config.run.reproducible && count > FixedPoint::most_terms) {
    throw UsageError(
        fmt::format("{}; runconfig.reproducible adds up at most {}", arithmetic, FixedPoint::most_terms),
        fmt::format("runconfig.microbatch {} or larger", samples / FixedPoint::most_terms + 1));
  }
}

/// The mode predict scores all images that it is given, and no others.
void settle_images(RunConfig& config) {
  if (config.run.mode != Mode::predict) return;
  config.eval_input.use_fake_data = false;
  config.run.eval_steps = 0;
}

/// Images without labels are for one mode, which needs them.
void check_images(const RunConfig& config) {
  const std::string& images = config.eval_input.images;
  const bool predicts = config.run.mode == Mode::predict;
  if (predicts == !images.empty()) return;
  if (predicts) {
    throw UsageError("the mode predict needs eval_input.images, an IDX file, gzipped or plain",
                     "eval_input.images=digits-idx3-ubyte.gz");
  }
  throw UsageError(fmt::format("eval_input.images {} in the mode {}: images of which no label is read",
                               images, write_choice(config.run.mode, modes)),
                   "-m predict, or name a set with eval_input.data_dir");
}

}  // namespace

void settle_relations(const Given& given, Draft& draft, std::vector<std::string>& notes) {
  RunConfig& config = draft.config;
  settle_hidden_sizes(given, draft, notes);
  check_dropout(given, config);
  settle_batch_size(given, "train_input", config.train_input);
  settle_batch_size(given, "eval_input", config.eval_input);
  settle_length(given, draft);
  settle_eval_data(given, config);
  settle_images(config);
  settle_nesterov(given, config.optimizer);
  check_optimizer(given, config.optimizer);
  check_early_stopping(given, config);
  std::ranges::move(notes_on_unused_parameters(given, config.optimizer), std::back_inserter(notes));
  check_reproducible(given, config);
  settle_stages(given, config.run);
}

int stages_of(const RunConfig& config, int ranks) {
  if (!trains(config) || config.run.execution != Execution::layer_pipelined) return 1;
  const int wanted = config.run.pipeline_stages, replicas = config.run.num_replicas;
  if (wanted == 0 && replicas == 0) return default_stages(ranks, layer_count(config));
  const int stages = wanted > 0 ? wanted : stages_for_replicas(ranks, replicas);
  check_layers(config, stages);
  if (replicas > 0 && replicas * stages != ranks) {
    throw UsageError(
        fmt::format("runconfig.num_replicas {} x runconfig.pipeline_stages {} = {} ranks, but there are {}",
                    replicas, stages, replicas * stages, ranks),
        fmt::format("mpirun -n {} fcmnist_mpi ..., or leave num_replicas out", replicas * stages));
  }
  if (ranks % stages != 0) {
    throw UsageError(fmt::format("runconfig.pipeline_stages {} does not divide the {} ranks: ranks = "
                                 "replicas x stages",
                                 stages, ranks),
                     fmt::format("mpirun -n {} fcmnist_mpi ..., or runconfig.pipeline_stages auto",
                                 (ranks / stages + 1) * stages));
  }
  return stages;
}

void check_world(const RunConfig& config, int ranks) {
  FCMNIST_CHECK(ranks >= 1, fmt::format("ranks = {}", ranks));
  check_images(config);
  if (!trains(config)) return;
  const int stages = stages_of(config, ranks), replicas = ranks / stages;
  const int wanted = config.run.num_replicas;
  if (wanted > 0 && wanted != replicas) {
    throw UsageError(fmt::format("runconfig.num_replicas is {}, but there are {}", wanted, replicas),
                     fmt::format("mpirun -n {} fcmnist_mpi ..., or leave num_replicas out", wanted));
  }
  const data::InputOptions& input = config.train_input;
  if (input.batch_size_per_replica > 0) {
    const long global_batch = static_cast<long>(input.batch_size_per_replica) * replicas;
    if (global_batch <= std::numeric_limits<int>::max()) {
      check_microbatches(config, replicas, stages, global_batch);
      return;
    }
    throw UsageError(
        fmt::format("train_input.batch_size_per_replica {} x {} replicas = {} samples; a global batch has "
                    "at most {}",
                    input.batch_size_per_replica, replicas, global_batch, std::numeric_limits<int>::max()));
  }
  if (input.batch_size < replicas) {
    throw UsageError(
        fmt::format("train_input.batch_size {} is divided among {} replicas: {} of them would get no sample",
                    input.batch_size, replicas, replicas - input.batch_size),
        fmt::format("mpirun -n {} or fewer, a larger batch_size, or batch_size_per_replica",
                    static_cast<long>(input.batch_size) * stages));
  }
  check_microbatches(config, replicas, stages, input.batch_size);
}

}  // namespace fcmnist::config

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "comm/options.hpp"
#include "data/options.hpp"
#include "kernels/options.hpp"
#include "model/options.hpp"
#include "optim/options.hpp"
#include "store/options.hpp"

namespace fcmnist::config {

enum class Mode { train, eval, train_and_eval, eval_all, predict, prepare_data, sweep };

/// When a run stops by itself, with a checkpoint, although it is not finished.
struct MaxTime {
  long seconds = 0;         ///< after the start of the program; 0 = no limit
  bool is_job_end = false;  ///< at the end of the Slurm job, if it runs in one

  bool operator==(const MaxTime&) const = default;
};

/// What is done about a loss or gradient that is not finite.
enum class NanPolicy {
  stop,  ///< the run ends with an error, exit 6
  skip,  ///< the step changes nothing and is counted
};

/// What the ranks do.
enum class Execution {
  data_parallel,    ///< every rank holds all layers
  layer_pipelined,  ///< the layers are placed on stages, which microbatches pass one after the other
};

/// Words of runconfig.plan: no plan file; the plan file of the model_dir if it has one.
constexpr std::string_view no_plan = "none", auto_plan = "auto";

/// Section runconfig, without the keys that belong to the options of a module.
struct RunOptions {
  Mode mode = Mode::train_and_eval;
  std::string model_dir = "./model_dir";
  // Training ends at the earlier of max_steps and num_epochs; 0 means that it is not given.
  long max_steps = 0;
  long num_epochs = 0;
  long steps_per_epoch = 0;  ///< 0 = as many as the data gives; otherwise an epoch ends after so many steps
  long eval_steps = 0;       ///< batches per evaluation; 0 = the whole set
  long eval_frequency = 0;   ///< train_and_eval: evaluate every so many steps; 0 = only at the end
  int early_stopping = 0;    ///< training ends after so many validations without a better one; 0 = never
  long log_steps = 50;
  bool save_losses = true;           ///< a metrics row for every step; false: only for steps that are logged
  long check_replicas_steps = 1000;  ///< compare the weights of all ranks; 0 = at start and checkpoints only
  long trace_steps = 0;              ///< so many steps are recorded for trace.h5
  long trace_first_step = 11;        ///< the first of them
  MaxTime max_time;
  NanPolicy nan_policy = NanPolicy::stop;
  std::uint64_t seed = 1;
  bool reproducible = false;  ///< the same bits on any number of ranks
  int microbatch = 0;         ///< samples that are computed at once; 0 = see microbatch_size()
  Execution execution = Execution::data_parallel;
  int pipeline_stages = 0;           ///< layer_pipelined: 0 = see stages_of()
  int num_replicas = 0;              ///< 0 = as many as mpirun gives; another number must equal that
  double network_gbit_s = 10.0;      ///< between two nodes, as a forecast takes it; Gbit/s in each direction
  double network_latency_us = 20.0;  ///< of a message between two nodes, as a forecast takes it
  std::string plan{no_plan};         ///< a file that --compile_only wrote, "none", or "auto"

  bool operator==(const RunOptions&) const = default;
};

/// One experiment, validated. A value is what the file says, else a plain default (no dropout, no weight
/// decay, no momentum, a constant learning rate), so that a file written for the reference means here what it
/// means there.
struct RunConfig {
  data::InputOptions train_input;
  data::InputOptions eval_input;
  model::MlpOptions model;
  optim::OptimizerOptions optimizer;
  RunOptions run;
  store::CheckpointOptions checkpoint;
  comm::CommOptions comm;
  kernels::KernelOptions kernels;

  RunConfig();  ///< plain values, which keys have that a file does not give

  bool operator==(const RunConfig&) const = default;
};

/// The number of linear layers of the model.
int layer_count(const RunConfig& config);

/// Samples of a microbatch; 0 means that a replica's whole share of a batch is one microbatch. The default of a
/// reproducible run is 64.
std::size_t microbatch_size(const RunConfig& config);

/// What runs when no file is given: well-chosen settings for 784-500-300-10 on MNIST, the same as
/// configs/fcmnist_500_300.yaml (a test holds them equal).
RunConfig built_in_experiment();

}  // namespace fcmnist::config

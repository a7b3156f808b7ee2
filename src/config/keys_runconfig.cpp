// Section runconfig.

#include <fmt/format.h>

#include "config/key_tables.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

using Run = RunOptions;
using Checkpoint = store::CheckpointOptions;
using Comm = comm::CommOptions;
using Kernels = kernels::KernelOptions;

constexpr auto run = in(&RunConfig::run);
constexpr auto checkpoint = in(&RunConfig::checkpoint);
constexpr auto exchange = in(&RunConfig::comm);
constexpr auto products = in(&RunConfig::kernels);

constexpr Choice<NanPolicy> nan_policies[] = {
    {"stop", NanPolicy::stop},
    {"skip", NanPolicy::skip},
};

constexpr Choice<Execution> executions[] = {
    {"data_parallel", Execution::data_parallel},
    {"layer_pipelined", Execution::layer_pipelined},
};

constexpr NumberRange gbit_rates{1e-3, 1e6, true, true, "a number of Gbit/s from 0.001 to 1000000"};
constexpr NumberRange latencies{0, 1e7, true, true, "a number of microseconds, at most 10000000"};
constexpr NumberRange timeouts{0, 1e6, false, true, "a number of seconds above 0, at most 1000000"};

constexpr int most_ranks = 1'000'000;

/// What a command does is said on the command line. A file may only deny it.
Setting flag(const std::string& what_it_does) {
  return {[=](const Value& v, const std::string& key, Draft&) {
            if (!read_bool(v, key)) return;
            const std::string name = key.substr(key.find('.') + 1);
            throw UsageError(fmt::format("{}: {} True: this is a flag here", v.where, key),
                             fmt::format("fcmnist_mpi --{} ... {}", name, what_it_does));
          },
          nullptr, [](const RunConfig&, Draft&) {}};
}

constexpr const char* automatic = "auto";

/// A number of stages, or the word "auto".
int read_stages(const Value& value, const std::string& key) {
  const bool is_auto = value.kind == Value::Kind::scalar && lower_case(value.text) == automatic;
  return is_auto ? 0 : read_integer(value, key, 1, most_ranks);
}

std::string write_stages(int stages) { return stages == 0 ? automatic : write_integer(stages); }

bool names_no_file(const std::string& plan) { return plan == no_plan || plan == auto_plan; }

/// The name of a plan file, or one of the words "none" and "auto".
Setting plan_name() {
  Setting setting = path(run(&Run::plan));
  setting.read = [](const Value& value, const std::string& key, Draft& draft) {
    const std::string text = read_path(value, key, draft.environment), word = lower_case(text);
    draft.config.run.plan = names_no_file(word) ? word : text;
  };
  setting.write = [](const RunConfig& config) {
    const std::string& plan = config.run.plan;
    return names_no_file(plan) ? plan : write(quote_dollars(plan));
  };
  return setting;
}

/// 0 and "auto" both leave the number to microbatch_size().
int read_microbatch(const Value& value, const std::string& key) {
  const bool is_auto = value.kind == Value::Kind::scalar && lower_case(value.text) == automatic;
  return is_auto ? 0 : read_integer(value, key, 0, 1'000'000);
}

/// The reference's levels, also as Python's numbers. The word of --logging comes first.
constexpr Choice<const char*> log_levels[] = {
    {"debug", "debug"},   {"info", "info"},    {"warning", "warning"}, {"error", "error"},
    {"verbose", "debug"}, {"warn", "warning"}, {"critical", "error"},  {"10", "debug"},
    {"20", "info"},       {"30", "warning"},   {"40", "error"},        {"50", "error"},
};

Setting log_level() {
  return {[](const Value& value, const std::string& key, Draft& draft) {
            draft.logging = read_choice(value, key, log_levels);
          },
          nullptr, [](const RunConfig&, Draft& draft) { draft.logging.reset(); }};
}

constexpr const char* validate_only = "says how the run maps onto the ranks, and runs nothing";
constexpr const char* compile_only = "measures what is fastest on this world, and trains nothing";

// clang-format off
const SettingRow settings[] = {
    {"mode",                    may_change, choice(run(&Run::mode), modes)},
    {"model_dir",               may_change, path(run(&Run::model_dir))},
    {"max_steps",               may_change, optional(integer_if_given(run(&Run::max_steps), most_steps))},
    {"num_epochs",              may_change, optional(integer_if_given(run(&Run::num_epochs), most_steps))},
    {"steps_per_epoch",         keeps,      optional(integer(run(&Run::steps_per_epoch), 0, most_steps))},
    {"eval_steps",              may_change, optional(integer(run(&Run::eval_steps), 0, most_steps))},
    {"eval_frequency",          may_change, optional(integer(run(&Run::eval_frequency), 0, most_steps))},
    {"early_stopping",          may_change, integer(run(&Run::early_stopping), 0, 1'000'000'000)},
    {"log_steps",               may_change, integer(run(&Run::log_steps), 1, most_steps)},
    {"save_losses",             may_change, boolean(run(&Run::save_losses))},
    {"save_initial_checkpoint", may_change, boolean(checkpoint(&Checkpoint::save_initial_checkpoint))},
    {"checkpoint_steps",        may_change, optional(integer(checkpoint(&Checkpoint::checkpoint_steps), 0, most_steps))},
    {"checkpoint_interval_s",   may_change, number(checkpoint(&Checkpoint::checkpoint_interval_s), not_negative)},
    {"metrics_interval_s",      may_change, number(checkpoint(&Checkpoint::metrics_interval_s), not_negative)},
    {"keep_checkpoints",        may_change, optional(integer(checkpoint(&Checkpoint::keep_checkpoints), 2, 1'000'000))},
    {"trace_steps",             may_change, integer(run(&Run::trace_steps), 0, 10'000)},
    {"trace_first_step",        may_change, integer(run(&Run::trace_first_step), 1, most_steps)},
    {"max_time",                may_change, setting(run(&Run::max_time), read_max_time)},
    {"nan_policy",              may_change, choice(run(&Run::nan_policy), nan_policies)},
    {"check_replicas_steps",    may_change, integer(run(&Run::check_replicas_steps), 0, most_steps)},
    {"seed",                    keeps,      optional(integer(run(&Run::seed), 0))},
    {"reproducible",            keeps,      boolean(run(&Run::reproducible))},
    {"microbatch",              keeps,      optional(setting(run(&Run::microbatch), read_microbatch, write_integer<int>))},
    {"execution",               may_change, choice(run(&Run::execution), executions)},
    {"pipeline_stages",         may_change, setting(run(&Run::pipeline_stages), read_stages, write_stages)},
    // num_replicas is about the world of one start, which a resume may change.
    {"num_replicas",            may_change, not_written(integer(run(&Run::num_replicas), 0, most_ranks))},
    {"blas_threads",            may_change, integer(products(&Kernels::blas_threads), 1, 1024)},
    {"gemm",                    may_change, choice(products(&Kernels::gemm), gemm_backends)},
    {"input_products",          may_change, choice(products(&Kernels::input_products), input_products)},
    {"exchange_streams",        may_change, integer(exchange(&Comm::exchange_streams), 1, 1024)},
    {"wire_type",               may_change, choice(exchange(&Comm::wire_type), wire_types)},
    {"network_gbit_s",          may_change, number(run(&Run::network_gbit_s), gbit_rates)},
    {"network_latency_us",      may_change, number(run(&Run::network_latency_us), latencies)},
    {"plan",                    may_change, plan_name()},
    // What these say is about one start too.
    {"logging",                 may_change, optional(log_level())},
    {"validate_only",           keeps,      optional(flag(validate_only))},
    {"compile_only",            keeps,      optional(flag(compile_only))},
    {"stall_timeout",           may_change, number(exchange(&Comm::stall_timeout_s), timeouts)},
};

constexpr const char* machine = "this belongs to the machine of the reference; mpirun or Slurm decides where ranks run";
constexpr const char* compiler = "this belongs to the compiler of the reference; nothing is compiled at run time here";
constexpr const char* metrics = "metrics go to <model_dir>/metrics.h5";

constexpr OtherNameRow other_names[] = {
    {"num_steps",              "runconfig.max_steps"},
    {"max_checkpoints",        "runconfig.keep_checkpoints"},
    {"keep_checkpoint_max",    "runconfig.keep_checkpoints"},
    {"save_checkpoints_steps", "runconfig.checkpoint_steps"},
    {"steps_per_increase",     "optimizer.steps_per_increase"},
};

constexpr FixedRow fixed[] = {
    {"checkpoint_path",                   "",      "this is a flag here", "fcmnist_mpi --checkpoint_path FILE"},
    {"is_pretrained_checkpoint",          "False", "this is a flag here", "fcmnist_mpi --checkpoint_path FILE --is_pretrained_checkpoint"},
    {"load_checkpoint_states",            "all",   "a checkpoint is loaded as a whole, or its weights alone", "for the weights alone: fcmnist_mpi --checkpoint_path FILE --is_pretrained_checkpoint"},
    {"autoload_last_checkpoint",          "True",  "a run goes on from its newest checkpoint", "to start over: fcmnist_mpi --restart, or another -o/--model_dir"},
    {"disable_strict_checkpoint_loading", "False", "a checkpoint must have all weights of the model, and no others", "write False, or delete this key"},
};

constexpr InertRow inert[] = {
    {"check_loss_values",          "the loss of every step is checked; runconfig.nan_policy says what follows", any_bool},
    {"precision_opt_level",        "model.mixed_precision and model.half_type choose the arithmetic"},
    {"enable_distributed",         "all ranks that mpirun or Slurm starts work together", any_bool},
    {"dist_addr",                  machine},
    {"dist_backend",               machine},
    {"init_method",                machine},
    {"main_process_id",            machine},
    {"multireplica",               "the ranks that mpirun starts are the replicas; runconfig.num_replicas checks their number", any_bool},
    {"sync_batchnorm",             "the model has no batch normalisation"},
    {"enable_summaries",           metrics},
    {"save_summary_steps",         "metrics go to <model_dir>/metrics.h5; see runconfig.save_losses"},
    {"summary_dir",                metrics},
    {"show_debug_metrics",         metrics},
    {"legacy_event_dirs",          metrics},
    {"log_input_summaries",        metrics},
    {"dump_activations",           "activations are not written; checkpoints have the weights"},
    {"enable_act_frequency",       "activations are not written; checkpoints have the weights"},
    {"hf_cache_dir",               "no models are fetched; train_input.data_dir is where the data are"},
    {"cs_ip",                      machine},
    {"num_csx",                    machine},
    {"num_wgt_servers",            machine},
    {"num_act_servers",            machine},
    {"num_workers_per_csx",        machine},
    {"mount_dirs",                 machine},
    {"python_paths",               machine},
    {"credentials_path",           machine},
    {"mgmt_address",               machine},
    {"mgmt_namespace",             machine},
    {"job_labels",                 machine},
    {"job_time_sec",               machine},
    {"job_priority",               machine},
    {"debug_args",                 machine},
    {"debug_args_path",            machine},
    {"execute_crd_memory_gi",      machine},
    {"compile_crd_memory_gi",      machine},
    {"wrk_memory_gi",              machine},
    {"act_memory_gi",              machine},
    {"cmd_memory_gi",              machine},
    {"wgt_memory_gi",              machine},
    {"chf_memory_gi",              machine},
    {"wsc_log_level",              machine},
    {"cbcore_image",               machine},
    {"variant",                    machine},
    {"experimental",               machine},
    {"transfer_processes",         machine},
    {"fabric_type_blacklist",      machine},
    {"disable_version_check",      machine},
    {"target_device",              machine},
    {"compile_dir",                compiler},
    {"use_cstorch_optimizer_step", compiler},
    {"drop_data",                  compiler},
    {"use_appliance_data",         compiler},
    {"op_profiler_config",         compiler},
    {"ini",                        compiler},
    {"lazy_initialization",        compiler},
    {"log_initialization",         compiler},
    {"retrace_every_iteration",    compiler},
    {"num_steps_per_compile",      compiler},
};
// clang-format on

}  // namespace

SectionTable runconfig_table() {
  return {.name = "runconfig",
          .settings = settings,
          .other_names = other_names,
          .inert = inert,
          .fixed = fixed,
          .refused = {}};
}

}  // namespace fcmnist::config

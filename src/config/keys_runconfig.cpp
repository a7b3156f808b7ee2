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
          nullptr};
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
std::string read_plan_name(const Value& value, const std::string& key) {
  const std::string text = read_text(value, key), word = lower_case(text);
  return names_no_file(word) ? word : text;
}

std::string write_plan_name(const std::string& plan) { return names_no_file(plan) ? plan : write(plan); }

constexpr const char* validate_only = "says how the run maps onto the ranks, and runs nothing";
constexpr const char* compile_only = "measures what is fastest on this world, and trains nothing";

// clang-format off
const SettingRow settings[] = {
    {"mode",                    may_change, choice(run(&Run::mode), modes)},
    {"model_dir",               may_change, text(run(&Run::model_dir))},
    {"max_steps",               may_change, integer_if_given(run(&Run::max_steps), most_steps)},
    {"num_steps",               may_change, in_draft(&Draft::num_steps, 1, most_steps)},
    {"num_epochs",              may_change, integer_if_given(run(&Run::num_epochs), most_steps)},
    {"steps_per_epoch",         keeps,      integer(run(&Run::steps_per_epoch), 0, most_steps)},
    {"eval_steps",              may_change, integer(run(&Run::eval_steps), 0, most_steps)},
    {"eval_frequency",          may_change, integer(run(&Run::eval_frequency), 0, most_steps)},
    {"log_steps",               may_change, integer(run(&Run::log_steps), 1, most_steps)},
    {"save_losses",             may_change, boolean(run(&Run::save_losses))},
    {"save_initial_checkpoint", may_change, boolean(checkpoint(&Checkpoint::save_initial_checkpoint))},
    {"checkpoint_steps",        may_change, integer(checkpoint(&Checkpoint::checkpoint_steps), 0, most_steps)},
    {"checkpoint_interval_s",   may_change, number(checkpoint(&Checkpoint::checkpoint_interval_s), not_negative)},
    {"keep_checkpoints",        may_change, integer(checkpoint(&Checkpoint::keep_checkpoints), 2, 1'000'000)},
    {"max_time",                may_change, setting(run(&Run::max_time), read_max_time)},
    {"nan_policy",              may_change, choice(run(&Run::nan_policy), nan_policies)},
    {"check_replicas_steps",    may_change, integer(run(&Run::check_replicas_steps), 0, most_steps)},
    {"seed",                    keeps,      integer(run(&Run::seed), 0)},
    {"reproducible",            keeps,      boolean(run(&Run::reproducible))},
    {"microbatch",              keeps,      integer(run(&Run::microbatch), 0, 1'000'000)},
    {"execution",               may_change, choice(run(&Run::execution), executions)},
    {"pipeline_stages",         may_change, setting(run(&Run::pipeline_stages), read_stages, write_stages)},
    // num_replicas is about the world of one start, which a resume may change.
    {"num_replicas",            may_change, not_written(integer(run(&Run::num_replicas), 0, most_ranks))},
    {"blas_threads",            may_change, integer(products(&Kernels::blas_threads), 1, 1024)},
    {"gemm",                    may_change, choice(products(&Kernels::gemm), gemm_backends)},
    {"exchange_streams",        may_change, integer(exchange(&Comm::exchange_streams), 1, 1024)},
    {"wire_type",               may_change, choice(exchange(&Comm::wire_type), wire_types)},
    {"plan",                    may_change, setting(run(&Run::plan), read_plan_name, write_plan_name)},
    {"validate_only",           keeps,      flag(validate_only)},
    {"compile_only",            keeps,      flag(compile_only)},
    {"stall_timeout",           may_change, number(exchange(&Comm::stall_timeout_s), timeouts)},
};

constexpr const char* machine = "this belongs to the machine of the reference; mpirun or Slurm decides where ranks run";
constexpr const char* compiler = "this belongs to the compiler of the reference; nothing is compiled at run time here";
constexpr const char* metrics = "metrics go to <model_dir>/metrics.h5";

constexpr InertRow inert[] = {
    {"check_loss_values",          "the loss of every step is checked; runconfig.nan_policy says what follows", any_bool},
    {"max_checkpoints",            "use runconfig.keep_checkpoints, which also keeps the best"},
    {"logging",                    "use the flag --logging"},
    {"precision_opt_level",        "model.mixed_precision and model.half_type choose the arithmetic"},
    {"enable_distributed",         "all ranks that mpirun or Slurm starts work together", any_bool},
    {"dist_addr",                  machine},
    {"dist_backend",               machine},
    {"init_method",                machine},
    {"sync_batchnorm",             "the model has no batch normalisation"},
    {"steps_per_increase",         "use optimizer.steps_per_increase"},
    {"enable_summaries",           metrics},
    {"save_summary_steps",         "metrics go to <model_dir>/metrics.h5; see runconfig.save_losses"},
    {"summary_dir",                metrics},
    {"show_debug_metrics",         metrics},
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
    {"num_steps_per_compile",      compiler},
};
// clang-format on

}  // namespace

SectionTable runconfig_table() { return {"runconfig", settings, inert, {}}; }

}  // namespace fcmnist::config

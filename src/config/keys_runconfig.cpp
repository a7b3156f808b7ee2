// Section runconfig.

#include <fmt/format.h>

#include "config/key_rows.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

constexpr Choice<NanPolicy> nan_policies[] = {
    {"stop", NanPolicy::stop},
    {"skip", NanPolicy::skip},
};

constexpr Choice<Execution> executions[] = {
    {"data_parallel", Execution::data_parallel},
    {"layer_pipelined", Execution::layer_pipelined},
};

constexpr auto section = "runconfig";

constexpr std::string_view automatic = "auto";

/// What a command does is said on the command line; a file may only deny it.
Key flag_key(const std::string& name, const std::string& what_it_does) {
  return active(
      section, name, Resume::keeps,
      [name, what_it_does](const Value& v, const std::string& key, Draft&) {
        if (!read_bool(v, key)) return;
        throw UsageError(fmt::format("{}: {} True: this is a flag here", v.where, key),
                         fmt::format("fcmnist_mpi --{} ... {}", name, what_it_does));
      },
      nullptr);
}

/// A number of stages or the word "auto".
Key stages_key() {
  return active(
      section, "pipeline_stages", Resume::may_change,
      [](const Value& v, const std::string& key, Draft& draft) {
        const bool is_auto = v.kind == Value::Kind::scalar && lower_case(v.text) == automatic;
        draft.config.run.pipeline_stages = is_auto ? 0 : read_integer(v, key, 1, 1'000'000);
      },
      [](const RunConfig& c) {
        const int stages = c.run.pipeline_stages;
        return stages == 0 ? std::string(automatic) : write_integer(stages);
      });
}

/// A file or one of the words "none" and "auto".
Key plan_key() {
  return active(
      section, "plan", Resume::may_change,
      [](const Value& v, const std::string& key, Draft& draft) {
        const std::string text = read_text(v, key), word = lower_case(text);
        draft.config.run.plan = word == no_plan || word == auto_plan ? word : text;
      },
      [](const RunConfig& c) {
        const std::string& plan = c.run.plan;
        return plan == no_plan || plan == auto_plan ? plan : write(plan);
      });
}

std::vector<Key> active_keys() {
  constexpr Resume keeps = Resume::keeps;
  constexpr Resume may_change = Resume::may_change;
  return {
      choice_key(
          section, "mode", may_change, [](auto& c) -> auto& { return c.run.mode; }, modes),
      text_key(
          section, "model_dir", may_change, [](auto& c) -> auto& { return c.run.model_dir; }),
      optional_integer_key(
          section, "max_steps", may_change, [](auto& c) -> auto& { return c.run.max_steps; }, 1L, most_steps),
      active(
          section, "num_steps", may_change,
          [](const Value& v, const std::string& key, Draft& draft) {
            draft.num_steps = read_integer(v, key, 1L, most_steps);
          },
          nullptr),
      optional_integer_key(
          section, "num_epochs", may_change, [](auto& c) -> auto& { return c.run.num_epochs; }, 1L,
          most_steps),
      integer_key(
          section, "steps_per_epoch", keeps, [](auto& c) -> auto& { return c.run.steps_per_epoch; }, 0L,
          most_steps),
      integer_key(
          section, "eval_steps", may_change, [](auto& c) -> auto& { return c.run.eval_steps; }, 0L,
          most_steps),
      integer_key(
          section, "eval_frequency", may_change, [](auto& c) -> auto& { return c.run.eval_frequency; }, 0L,
          most_steps),
      integer_key(
          section, "log_steps", may_change, [](auto& c) -> auto& { return c.run.log_steps; }, 1L, most_steps),
      bool_key(
          section, "save_losses", may_change, [](auto& c) -> auto& { return c.run.save_losses; }),
      bool_key(
          section, "save_initial_checkpoint", may_change,
          [](auto& c) -> auto& { return c.checkpoint.save_initial_checkpoint; }),
      integer_key(
          section, "checkpoint_steps", may_change,
          [](auto& c) -> auto& { return c.checkpoint.checkpoint_steps; }, 0L, most_steps),
      number_key(
          section, "checkpoint_interval_s", may_change,
          [](auto& c) -> auto& { return c.checkpoint.checkpoint_interval_s; }, not_negative),
      integer_key(
          section, "keep_checkpoints", may_change,
          [](auto& c) -> auto& { return c.checkpoint.keep_checkpoints; }, 2, 1'000'000),
      active(
          section, "max_time", may_change,
          [](const Value& v, const std::string& key, Draft& draft) {
            draft.config.run.max_time = read_max_time(v, key);
          },
          [](const RunConfig& c) { return write(c.run.max_time); }),
      choice_key(
          section, "nan_policy", may_change, [](auto& c) -> auto& { return c.run.nan_policy; }, nan_policies),
      integer_key(
          section, "check_replicas_steps", may_change,
          [](auto& c) -> auto& { return c.run.check_replicas_steps; }, 0L, most_steps),
      integer_key(
          section, "seed", keeps, [](auto& c) -> auto& { return c.run.seed; }, std::uint64_t{0}),
      bool_key(
          section, "reproducible", keeps, [](auto& c) -> auto& { return c.run.reproducible; }),
      integer_key(
          section, "microbatch", keeps, [](auto& c) -> auto& { return c.run.microbatch; }, 0, 1'000'000),
      choice_key(
          section, "execution", may_change, [](auto& c) -> auto& { return c.run.execution; }, executions),
      stages_key(),
      active(  // not written: it is about the world of one start, which a resume may change
          section, "num_replicas", may_change,
          [](const Value& v, const std::string& key, Draft& draft) {
            draft.config.run.num_replicas = read_integer(v, key, 0, 1'000'000);
          },
          nullptr),
      integer_key(
          section, "blas_threads", may_change, [](auto& c) -> auto& { return c.kernels.blas_threads; }, 1,
          1024),
      choice_key(
          section, "gemm", may_change, [](auto& c) -> auto& { return c.kernels.gemm; }, gemm_backends),
      integer_key(
          section, "exchange_streams", may_change, [](auto& c) -> auto& { return c.comm.exchange_streams; },
          1, 1024),
      choice_key(
          section, "wire_type", may_change, [](auto& c) -> auto& { return c.comm.wire_type; }, wire_types),
      plan_key(),
      flag_key("validate_only", "says how the run maps onto the ranks, and runs nothing"),
      flag_key("compile_only", "measures what is fastest on this world, and trains nothing"),
      number_key(
          section, "stall_timeout", may_change, [](auto& c) -> auto& { return c.comm.stall_timeout_s; },
          NumberRange{0, 1e6, false, true, "a number of seconds above 0, at most 1000000"}),
  };
}

std::vector<Key> inert_keys() {
  const std::string machine =
      "belongs to the machine of the reference; mpirun or Slurm decide where ranks run";
  const std::string compiler =
      "belongs to the compiler of the reference; nothing is compiled at run time here";
  std::vector<Key> keys = {
      inert_key(section, "check_loss_values",
                "the loss of every step is checked here; runconfig.nan_policy says what follows", any_bool),
      inert_key(section, "max_checkpoints", "use runconfig.keep_checkpoints, which also keeps the best"),
      inert_key(section, "logging", "use the flag --logging"),
      inert_key(section, "precision_opt_level",
                "model.mixed_precision and model.half_type choose the arithmetic"),
      inert_key(section, "enable_distributed", "data-parallel whenever mpirun starts several ranks",
                any_bool),
      inert_key(section, "dist_addr", machine),
      inert_key(section, "dist_backend", machine),
      inert_key(section, "init_method", machine),
      inert_key(section, "sync_batchnorm", "the model has no batch normalisation"),
      inert_key(section, "steps_per_increase", "optimizer.steps_per_increase counts, so it changes nothing"),
      inert_key(section, "enable_summaries", "metrics go to <model_dir>/metrics.h5"),
      inert_key(section, "save_summary_steps",
                "metrics go to <model_dir>/metrics.h5; see runconfig.save_losses"),
      inert_key(section, "summary_dir", "metrics go to <model_dir>/metrics.h5"),
      inert_key(section, "show_debug_metrics", "metrics go to <model_dir>/metrics.h5"),
  };
  for (const char* name : {"cs_ip",
                           "num_csx",
                           "num_wgt_servers",
                           "num_act_servers",
                           "num_workers_per_csx",
                           "mount_dirs",
                           "python_paths",
                           "credentials_path",
                           "mgmt_address",
                           "mgmt_namespace",
                           "job_labels",
                           "job_time_sec",
                           "job_priority",
                           "debug_args",
                           "debug_args_path",
                           "execute_crd_memory_gi",
                           "compile_crd_memory_gi",
                           "wrk_memory_gi",
                           "act_memory_gi",
                           "transfer_processes",
                           "fabric_type_blacklist",
                           "disable_version_check",
                           "target_device"}) {
    keys.push_back(inert_key(section, name, machine));
  }
  for (const char* name : {"compile_dir", "use_cstorch_optimizer_step", "drop_data", "use_appliance_data",
                           "op_profiler_config", "ini", "lazy_initialization", "num_steps_per_compile"}) {
    keys.push_back(inert_key(section, name, compiler));
  }
  return keys;
}

}  // namespace

std::vector<Key> runconfig_keys() {
  std::vector<Key> keys = active_keys();
  for (Key& key : inert_keys()) keys.push_back(std::move(key));
  return keys;
}

}  // namespace fcmnist::config

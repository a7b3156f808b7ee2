// Every key that a release of the reference (1.2 to 2.4) takes for this model: it is accepted, with a line in the log
// if it changes nothing here, or refused with what to write instead. It is never unknown.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/keys.hpp"
#include "config/support.hpp"

namespace fcmnist::config {
namespace {

enum class Null { refused, accepted };
constexpr Null optional = Null::accepted, needed = Null::refused;

struct SchemaKey {
  const char* name;
  const char* value;  ///< one that the reference takes
  Null null = needed;
};

struct SchemaSection {
  const char* name;
  std::vector<SchemaKey> keys;
};

const std::vector<SchemaKey> input_keys = {
    {"data_processor", "MNISTDataProcessor"},
    {"data_dir", "./data/mnist"},
    {"batch_size", "128"},
    {"drop_last_batch", "True"},
    {"drop_last", "True"},
    {"shuffle", "False"},
    {"num_workers", "0"},
    {"prefetch_factor", "10", optional},
    {"persistent_workers", "False"},
    {"shuffle_seed", "1", optional},
    {"to_float16", "True", optional},
    {"use_fake_data", "False"},
    {"fake_data_seed", "1", optional},
    {"split", "train", optional},
    {"micro_batch_size", "16", optional},
    {"num_parallel_calls", "0"},
};

const SchemaSection schema[] = {
    {"train_input", input_keys},
    {"eval_input", input_keys},
    {"model",
     {{"name", "fc_mnist"},
      {"mixed_precision", "True"},
      {"fp16_type", "float16", optional},
      {"use_bfloat16", "True"},
      {"boundary_casting", "False", optional},
      {"lora_params", "{r: 2}", optional},
      {"compression", "{format: mx8-e4m3}", optional},
      {"selective_grad", "{init_method: outlier}", optional},
      {"use_bias", "True"},
      {"hidden_sizes", "[500, 300]", optional},
      {"depth", "10", optional},
      {"hidden_size", "50", optional},
      {"activation_fn", "relu"},
      {"dropout", "0.0"},
      {"disable_softmax", "False"},
      {"compute_eval_metrics", "True"},
      {"to_float16", "False"},
      {"allow_multireplica", "True"},
      {"tf_summary", "False"}}},
    {"optimizer",
     {{"optimizer_type", "SGD"},
      {"learning_rate", "0.001", optional},
      {"momentum", "0.9"},
      {"weight_decay", "0.0005"},
      {"weight_decay_rate", "0.0005"},
      {"dampening", "0"},
      {"nesterov", "False"},
      {"use_nesterov", "False"},
      {"maximize", "False"},
      {"log_summaries", "True"},
      {"loss_scaling_factor", "dynamic"},
      {"initial_loss_scale", "1024.0", optional},
      {"steps_per_increase", "2000", optional},
      {"min_loss_scale", "0.5", optional},
      {"max_loss_scale", "65536.0", optional},
      {"max_gradient_norm", "1.0", optional},
      {"max_gradient_value", "1.0", optional},
      {"grad_accum_steps", "1"},
      {"adjust_learning_rate", "{decoder_kernel: 0.5}", optional},
      {"disable_lr_steps_reset", "False"},
      {"exclude_from_weight_decay", "[bias]"},
      {"beta1", "0.9"},
      {"beta2", "0.999"},
      {"betas", "[0.9, 0.999]"},
      {"eps", "1.0e-6"},
      {"epsilon", "1.0e-8"},
      {"amsgrad", "False"},
      {"correct_bias", "True"},
      {"adam", "False"},
      {"alpha", "0.99"},
      {"centered", "False"},
      {"rho", "0.9"},
      {"lr_decay", "0.0"},
      {"initial_accumulator_value", "0.0"},
      {"momentum_decay", "0.004"},
      {"lambd", "0.0001"},
      {"t0", "1000000.0"},
      {"eta1", "0.5"},
      {"eta2", "1.2"},
      {"etas", "[0.5, 1.2]"},
      {"step_size_min", "1.0e-6"},
      {"step_size_max", "50.0"},
      {"step_sizes", "[1.0e-6, 50.0]"},
      {"eps1", "1.0e-30"},
      {"eps2", "0.001"},
      {"clip_threshold", "1.0"},
      {"decay_rate", "-0.8"},
      {"scale_parameter", "True"},
      {"relative_step", "False"},
      {"warmup_init", "False"}}},
    {"runconfig",
     {{"mode", "train"},
      {"model_dir", "./model_dir"},
      {"max_steps", "10000", optional},
      {"num_steps", "10000", optional},
      {"num_epochs", "3", optional},
      {"steps_per_epoch", "100", optional},
      {"eval_steps", "78", optional},
      {"eval_frequency", "500", optional},
      {"log_steps", "50"},
      {"checkpoint_steps", "2000", optional},
      {"save_initial_checkpoint", "False"},
      {"save_losses", "True"},
      {"check_loss_values", "True"},
      {"seed", "1", optional},
      {"max_checkpoints", "5", optional},
      {"keep_checkpoint_max", "2"},
      {"save_checkpoints_steps", "10000"},
      {"save_summary_steps", "500"},
      {"enable_summaries", "True"},
      {"show_debug_metrics", "True"},
      {"summary_dir", "./summaries", optional},
      {"legacy_event_dirs", "False"},
      {"logging", "INFO", optional},
      {"wsc_log_level", "{coordinator: DEBUG}", optional},
      {"log_initialization", "True", optional},
      {"log_input_summaries", "False", optional},
      {"checkpoint_path", "./a.mdl", optional},
      {"is_pretrained_checkpoint", "True", optional},
      {"load_checkpoint_states", "model", optional},
      {"autoload_last_checkpoint", "True", optional},
      {"disable_strict_checkpoint_loading", "False", optional},
      {"steps_per_increase", "1000"},
      {"compile_only", "True", optional},
      {"validate_only", "True", optional},
      {"compile_dir", "./c", optional},
      {"multireplica", "False"},
      {"num_replicas", "1"},
      {"cs_ip", "10.0.0.1", optional},
      {"num_csx", "1"},
      {"num_wgt_servers", "24", optional},
      {"num_act_servers", "60", optional},
      {"num_workers_per_csx", "1"},
      {"mount_dirs", "[/a]", optional},
      {"python_paths", "[/a]", optional},
      {"credentials_path", "/a", optional},
      {"mgmt_address", "a:1", optional},
      {"mgmt_namespace", "a", optional},
      {"job_labels", "[a=b]", optional},
      {"job_priority", "p2", optional},
      {"job_time_sec", "60", optional},
      {"disable_version_check", "True", optional},
      {"debug_args", "{a: 1}", optional},
      {"debug_args_path", "/a", optional},
      {"ini", "{a: 1}", optional},
      {"retrace_every_iteration", "False", optional},
      {"lazy_initialization", "True"},
      {"drop_data", "False", optional},
      {"dump_activations", "False"},
      {"enable_act_frequency", "False"},
      {"op_profiler_config", "{start_step: 1}", optional},
      {"fabric_type_blacklist", "[a]", optional},
      {"transfer_processes", "5", optional},
      {"compile_crd_memory_gi", "1", optional},
      {"execute_crd_memory_gi", "1", optional},
      {"wrk_memory_gi", "1", optional},
      {"act_memory_gi", "1", optional},
      {"cmd_memory_gi", "1", optional},
      {"wgt_memory_gi", "1", optional},
      {"chf_memory_gi", "1", optional},
      {"cbcore_image", "a", optional},
      {"hf_cache_dir", "/a", optional},
      {"experimental", "{listeners: []}"},
      {"variant", "a", optional},
      {"precision_opt_level", "1", optional},
      {"target_device", "CPU"},
      {"enable_distributed", "False"},
      {"main_process_id", "0"},
      {"dist_addr", "localhost:8888"},
      {"dist_backend", "mpi"},
      {"init_method", "env://"},
      {"sync_batchnorm", "False"}}},
};

std::string file_with(const SchemaSection& section, const SchemaKey& key, const std::string& value) {
  // What a key needs beside it.
  const std::string name = key.name;
  std::string more;
  if (name == "depth") more = ", hidden_size: 5";
  if (name == "hidden_size") more = ", depth: 5";
  return std::string(section.name) + ": {" + name + ": " + value + more + "}\n";
}

TEST(ReferenceSchema, EachKeyIsAcceptedOrRefusedWithWhatToWrite) {
  for (const SchemaSection& section : schema) {
    for (const SchemaKey& row : section.keys) {
      const std::string name = std::string(section.name) + "." + row.name;
      const Key* key = find_key(name);
      if (key == nullptr) {
        ADD_FAILURE() << name << " is unknown";
        continue;
      }
      try {
        const Loaded loaded = load_text(file_with(section, row, row.value));
        // An inert key is never silent, but for a value that says what happens anyway.
        if (key->kind == KeyKind::inert && std::string(row.value) != "False") {
          ASSERT_EQ(loaded.notes.size(), 1U) << name;
          EXPECT_TRUE(contains(loaded.notes[0], name)) << loaded.notes[0];
        }
        EXPECT_NE(key->kind, KeyKind::refused) << name;
      } catch (const UsageError& error) {
        EXPECT_TRUE(contains(error.what(), name)) << error.what();
        EXPECT_TRUE(contains(error.what(), "HINT: ")) << error.what();
      }
    }
  }
}

TEST(ReferenceSchema, NullIsAcceptedWhereTheReferenceHasAnOptionalValue) {
  for (const SchemaSection& section : schema) {
    for (const SchemaKey& row : section.keys) {
      if (row.null == needed) continue;
      const std::string file = std::string(section.name) + ":\n  " + row.name + ": null\n";
      EXPECT_NO_THROW(EXPECT_EQ(load_text(file).config, RunConfig()) << file) << file;
    }
  }
}

// A key that has a meaning here has it also where another name says it.
TEST(ReferenceSchema, NoSentenceTellsToUseAKeyInstead) {
  for (const Key& key : all_keys()) {
    if (key.kind == KeyKind::inert) {
      EXPECT_FALSE(key.sentence.starts_with("use ")) << key.full_name();
    }
  }
}

}  // namespace
}  // namespace fcmnist::config

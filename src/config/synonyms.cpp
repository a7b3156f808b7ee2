#include "config/synonyms.hpp"

#include <algorithm>

#include "config/readers.hpp"

namespace fcmnist::config {

namespace {

struct Synonym {
  std::string_view name;
  std::string_view key;
};

// clang-format off
constexpr Synonym synonyms[] = {
    {"data",                 "train_input.data_dir"},
    {"data_path",            "train_input.data_dir"},
    {"data_root",            "train_input.data_dir"},
    {"dataset_dir",          "train_input.data_dir"},
    {"bs",                   "train_input.batch_size"},
    {"train_batch_size",     "train_input.batch_size"},
    {"minibatch_size",       "train_input.batch_size"},
    {"global_batch_size",    "train_input.batch_size"},
    {"local_batch_size",     "train_input.batch_size_per_replica"},
    {"workers",              "train_input.num_workers"},
    {"fake_data",            "train_input.use_fake_data"},
    {"synthetic",            "train_input.use_fake_data"},
    {"hidden",               "model.hidden_sizes"},
    {"hidden_units",         "model.hidden_sizes"},
    {"hidden_dims",          "model.hidden_sizes"},
    {"layers",               "model.hidden_sizes"},
    {"width",                "model.hidden_size"},
    {"num_layers",           "model.depth"},
    {"num_hidden_layers",    "model.depth"},
    {"activation",           "model.activation_fn"},
    {"nonlinearity",         "model.activation_fn"},
    {"bias",                 "model.use_bias"},
    {"drop_rate",            "model.dropout"},
    {"dropout_rate",         "model.dropout"},
    {"dropout_p",            "model.dropout"},
    {"init",                 "model.initializer"},
    {"weight_init",          "model.initializer"},
    {"classes",              "model.num_classes"},
    {"num_labels",           "model.num_classes"},
    {"n_classes",            "model.num_classes"},
    {"amp",                  "model.mixed_precision"},
    {"use_amp",              "model.mixed_precision"},
    {"precision",            "model.mixed_precision"},
    {"fp16",                 "model.half_type"},
    {"bf16",                 "model.half_type"},
    {"dtype",                "model.half_type"},
    {"lr",                   "optimizer.learning_rate"},
    {"eta",                  "optimizer.learning_rate"},
    {"step_size",            "optimizer.learning_rate"},
    {"base_lr",              "optimizer.learning_rate"},
    {"initial_learning_rate", "optimizer.learning_rate"},
    {"lr_scheduler",         "optimizer.learning_rate"},
    {"lr_schedule",          "optimizer.learning_rate"},
    {"scheduler",            "optimizer.learning_rate"},
    {"schedule",             "optimizer.learning_rate"},
    {"warmup",               "optimizer.learning_rate"},
    {"warmup_steps",         "optimizer.learning_rate"},
    {"wd",                   "optimizer.weight_decay_rate"},
    {"l2",                   "optimizer.weight_decay_rate"},
    {"l2_reg",               "optimizer.weight_decay_rate"},
    {"mom",                  "optimizer.momentum"},
    {"optim",                "optimizer.optimizer_type"},
    {"optimizer_name",       "optimizer.optimizer_type"},
    {"clip",                 "optimizer.max_gradient_norm"},
    {"clip_norm",            "optimizer.max_gradient_norm"},
    {"grad_clip",            "optimizer.max_gradient_norm"},
    {"gradient_clipping",    "optimizer.max_gradient_norm"},
    {"max_grad_norm",        "optimizer.max_gradient_norm"},
    {"clip_value",           "optimizer.max_gradient_value"},
    {"accumulate_grad_batches", "optimizer.grad_accum_steps"},
    {"gradient_accumulation_steps", "optimizer.grad_accum_steps"},
    {"loss_scale",           "optimizer.loss_scaling_factor"},
    {"steps",                "runconfig.max_steps"},
    {"iterations",           "runconfig.max_steps"},
    {"iters",                "runconfig.max_steps"},
    {"max_iters",            "runconfig.max_steps"},
    {"epochs",               "runconfig.num_epochs"},
    {"max_epochs",           "runconfig.num_epochs"},
    {"n_epochs",             "runconfig.num_epochs"},
    {"num_train_epochs",     "runconfig.num_epochs"},
    {"out_dir",              "runconfig.model_dir"},
    {"output_dir",           "runconfig.model_dir"},
    {"save_dir",             "runconfig.model_dir"},
    {"checkpoint_dir",       "runconfig.model_dir"},
    {"log_dir",              "runconfig.model_dir"},
    {"random_seed",          "runconfig.seed"},
    {"manual_seed",          "runconfig.seed"},
    {"log_every",            "runconfig.log_steps"},
    {"log_interval",         "runconfig.log_steps"},
    {"logging_steps",        "runconfig.log_steps"},
    {"print_freq",           "runconfig.log_steps"},
    {"save_every",           "runconfig.checkpoint_steps"},
    {"save_steps",           "runconfig.checkpoint_steps"},
    {"checkpoint_every",     "runconfig.checkpoint_steps"},
    {"checkpoint_frequency", "runconfig.checkpoint_steps"},
    {"save_total_limit",     "runconfig.keep_checkpoints"},
    {"eval_every",           "runconfig.eval_frequency"},
    {"eval_interval",        "runconfig.eval_frequency"},
    {"validation_frequency", "runconfig.eval_frequency"},
    {"time_limit",           "runconfig.max_time"},
    {"walltime",             "runconfig.max_time"},
    {"time",                 "runconfig.max_time"},
    {"timeout",              "runconfig.stall_timeout"},
    {"threads",              "runconfig.blas_threads"},
    {"num_threads",          "runconfig.blas_threads"},
    {"omp_num_threads",      "runconfig.blas_threads"},
    {"deterministic",        "runconfig.reproducible"},
    {"replicas",             "runconfig.num_replicas"},
    {"stages",               "runconfig.pipeline_stages"},
    {"num_stages",           "runconfig.pipeline_stages"},
    {"verbosity",            "runconfig.logging"},
    {"log_level",            "runconfig.logging"},
};
// clang-format on

}  // namespace

std::string synonym(std::string_view name) {
  std::string word = lower_case(name);
  std::ranges::replace(word, '-', '_');
  const auto found = std::ranges::find(synonyms, word, &Synonym::name);
  return found == std::end(synonyms) ? std::string() : std::string(found->key);
}

}  // namespace fcmnist::config

// Files that are wrong, each with what its one message must say.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/support.hpp"

namespace fcmnist::config {
namespace {

struct Bad {
  std::string yaml;
  std::vector<std::string> says;
};

const Bad bad_files[] = {
    // Not a configuration
    {"", {"f.yaml: no settings in this file"}},
    {"# comment\n", {"no settings in this file", "HINT"}},
    {"just text\n", {"f.yaml:1: expected sections", "found 'just text'"}},
    {"- 1\n- 2\n", {"expected sections", "found a list"}},
    {"train_input:\n\tbatch_size: 1\n", {"f.yaml:2: not valid YAML: this line is indented by a tab"}},
    {"model:\n  depth: 3\n\thidden_size: 3\n",
     {"f.yaml:3:", "indented by a tab", "HINT: YAML indents by spaces"}},
    {"model:\n  depth: 3\n  \thidden_size: 3\n", {"f.yaml:3:", "indented by a tab"}},
    {"model:\n\t# by a tab\n  depth: 3\n\n\thidden_size: 3\nrunconfig:\n  seed: 1\n",
     {"f.yaml:5:", "by a tab"}},
    {"model: {depth: 3\n", {"f.yaml:", "not valid YAML"}},
    {"model:\n  name: \"fc\n", {"f.yaml:3: not valid YAML: quotes are opened above and never closed"}},
    {"model:\n  depth: 3\n hidden_size: 3\n", {"f.yaml:3: not valid YAML"}},
    {"model:\n  name: \xFF\n", {"f.yaml:2: not text: byte 0xff"}},
    {"\x89HDF\r\n\x1a\n", {"f.yaml:1: not text"}},
    {"model: *x\n", {"f.yaml:1: not valid YAML"}},
    {"model: &m\n  depth: *m\n", {"f.yaml:2", "alias"}},
    {"model: {use_bias: !!bool yes}\n", {"YAML tags are not supported"}},
    // Sections
    {"runconfg:\n  seed: 1\n", {"f.yaml:1: unknown section 'runconfg'", "did you mean runconfig?"}},
    {"seed: 1\n", {"unknown section 'seed'", "did you mean runconfig.seed, inside its section?"}},
    {"zzzzzzzzz: 1\n", {"the sections are train_input, eval_input, model, optimizer, runconfig"}},
    {"a:\n  model:\n    depth: 1\n", {"unknown section 'a'", "--config a"}},
    {"model: 3\n", {"f.yaml:1: section model: expected keys with values, found '3'"}},
    {"model: [1]\n", {"section model", "found a list"}},
    {"model:\nrunconfig: {seed: 1}\n", {"f.yaml:1: section model", "found no value"}},
    {"model: {depth: 1}\nmodel: {depth: 2}\n", {"f.yaml:2: duplicate key 'model', first given at f.yaml:1"}},
    // Keys
    {"train_input:\n  batchsize: 1\n",
     {"f.yaml:2: unknown key train_input.batchsize", "train_input.batch_size?"}},
    {"model:\n  learning_rate: 1\n",
     {"unknown key model.learning_rate", "did you mean optimizer.learning_rate?"}},
    {"runconfig:\n  abcdefghijklmn: 1\n", {"unknown key runconfig.abcdefghijklmn", "names every key"}},
    {"model:\n  <<: {depht: 1}\n", {"f.yaml:2: unknown key model.depht", "did you mean model.depth?"}},
    {"model:\n  <<: 3\n", {"f.yaml:2: <<: expected a mapping, or a list of mappings, found '3'"}},
    {"model:\n  <<: [{depth: 1}, 3]\n", {"f.yaml:2: <<", "found a list of other values"}},
    {"model:\n  <<:\n  depth: 3\n", {"f.yaml:2: <<", "found no value"}},
    {"model:\n  '<<': {depth: 1}\n", {"f.yaml:2: unknown key model.<<"}},
    {"base: &b\n  seed: 1\nrunconfig:\n  <<: *b\n",
     {"f.yaml:1: unknown section 'base'", "begins with x- or a dot"}},
    {"sparsity: {type: static}\n", {"unknown section 'sparsity'", "layers are dense"}},
    {"optimizer:\n  lr: 0.1\n", {"unknown key optimizer.lr", "did you mean optimizer.learning_rate?"}},
    {"optimizer:\n  wd: 0.1\n", {"unknown key optimizer.wd", "did you mean optimizer.weight_decay_rate?"}},
    {"runconfig:\n  epochs: 1\n", {"unknown key runconfig.epochs", "did you mean runconfig.num_epochs?"}},
    {"runconfig:\n  seed: 1\n  seed: 2\n", {"f.yaml:3: duplicate key 'seed', first given at f.yaml:2"}},
    // Types and ranges
    {"train_input:\n  batch_size: 1.5\n",
     {"f.yaml:2: train_input.batch_size: expected a whole number", "'1.5'"}},
    {"train_input:\n  batch_size: 0\n", {"f.yaml:2", "from 1 to 1000000", "found '0'"}},
    {"train_input:\n  batch_size: -4\n", {"found '-4'"}},
    {"eval_input:\n  average_shifts: 4\n",
     {"f.yaml:2: eval_input.average_shifts: expected a whole number from 0 to 3, found '4'"}},
    {"train_input:\n  batch_size: 99999999999999999999\n", {"found '99999999999999999999'"}},
    {"train_input:\n  batch_size: 1e3\n", {"found '1e3'"}},
    {"train_input:\n  batch_size: 0x10\n", {"found '0x10'"}},
    {"train_input:\n  batch_size: 12 8\n", {"found '12 8'"}},
    {"train_input:\n  batch_size: \"128\"\n", {"found the string \"128\""}},
    {"train_input:\n  batch_size:\n\n\n  shuffle: True\n",
     {"f.yaml:2: train_input.batch_size", "found no value"}},
    {"train_input:\n  batch_size: null\n", {"found no value", "HINT: for the default, leave the key out"}},
    {"train_input:\n  batch_size: [1]\n", {"found a list"}},
    {"train_input:\n  shuffle: 1\n", {"expected True or False, found '1'"}},
    {"train_input:\n  shuffle: 'True'\n", {"expected True or False, found the string \"True\""}},
    {"train_input:\n  data_dir: ''\n", {"train_input.data_dir: expected one line of text"}},
    {"train_input:\n  data_dir: |\n    a\n    b\n", {"expected one line of text"}},
    {"train_input:\n  split: tset\n",
     {"expected one of train, test, val, found 'tset'", "did you mean test?"}},
    {"train_input:\n  mirrors: [ftp://x]\n", {"expected an address that begins with https://", "'ftp://x'"}},
    {"train_input:\n  mirrors: []\n", {"expected a list of texts, not empty"}},
    {"train_input:\n  mirrors:\n    - http://a\n    -\n", {"f.yaml:", "train_input.mirrors", "no value"}},
    {"train_input:\n  num_workers: many\n", {"train_input.num_workers: expected a number"}},
    {"eval_input:\n  drop_last_batch: maybe\n", {"eval_input.drop_last_batch: expected True or False"}},
    {"model:\n  dropout: 1.0\n",
     {"model.dropout: expected a number from 0 up to but not including 1, found '1.0'"}},
    {"model:\n  dropout: -0.1\n", {"found '-0.1'"}},
    {"model:\n  dropout: []\n", {"f.yaml:2: model.dropout: expected a number, or a list", "found a list"}},
    {"model:\n  dropout: [0.2,\n    1.5]\n",
     {"f.yaml:3: model.dropout: expected a number from 0", "found '1.5'"}},
    {"model:\n  dropout: [[0.2], 0.5]\n", {"model.dropout: expected a number from 0", "found a list"}},
    {"model:\n  input_dropout: 1.0\n",
     {"f.yaml:2: model.input_dropout: expected a number from 0", "found '1.0'"}},
    {"model:\n  dropout: nan\n", {"found 'nan'"}},
    {"model:\n  dropout: .nan\n", {"found '.nan'"}},
    {"model:\n  hidden_sizes: [500,\n    0]\n", {"f.yaml:3: model.hidden_sizes", "found '0'"}},
    {"model:\n  hidden_sizes: [[5]]\n", {"model.hidden_sizes: expected a whole number", "found a list"}},
    {"model:\n  num_classes: 1\n", {"model.num_classes: expected a whole number from 2 to 256"}},
    {"model:\n  num_classes: 257\n", {"found '257'"}},
    {"model:\n  name: resnet\n", {"model.name: expected fc_mnist, found 'resnet'"}},
    {"model:\n  activation_fn: gelu\n",
     {"model.activation_fn: expected relu, found 'gelu'", "later release"}},
    {"model:\n  initializer: he\n", {"expected one of he_normal, pytorch, xavier_uniform, zeros"}},
    {"model:\n  mixed_precision: maybe\n", {"model.mixed_precision: expected True or False"}},
    {"optimizer:\n  learning_rate: inf\n", {"f.yaml:2: optimizer.learning_rate", "found 'inf'"}},
    {"optimizer:\n  learning_rate: 1e999\n", {"fits in double precision", "found '1e999'"}},
    {"optimizer:\n  learning_rate: 0,1\n", {"found '0,1'"}},
    {"optimizer:\n  momentum: 1\n", {"optimizer.momentum", "not including 1"}},
    {"optimizer:\n  weight_decay_rate: -1e-4\n", {"expected a number, at least 0, found '-1e-4'"}},
    {"optimizer:\n  loss_scaling_factor: dynamc\n", {"expected a number above 0, or dynamic"}},
    {"runconfig:\n  seed: -1\n", {"runconfig.seed: expected a whole number, at least 0, found '-1'"}},
    {"runconfig:\n  seed: 18446744073709551616\n", {"found '18446744073709551616'"}},
    {"runconfig:\n  max_steps: 0\n", {"runconfig.max_steps: expected a whole number from 1"}},
    {"runconfig:\n  mode: trian\n", {"found 'trian'", "did you mean train?"}},
    {"runconfig:\n  gemm: mkl\n", {"runconfig.gemm: expected one of openblas, onednn, found 'mkl'"}},
    {"runconfig:\n  stall_timeout: 0\n", {"a number of seconds above 0"}},
    {"runconfig:\n  keep_checkpoints: 1\n", {"runconfig.keep_checkpoints", "from 2"}},
    // Later releases
    {"optimizer:\n  optimizer_type: Adafactor\n",
     {"f.yaml:2: optimizer.optimizer_type: Adafactor comes in a later release"}},
    {"optimizer:\n  optimizer_type: LARS\n  use_nesterov: True\n",
     {"optimizer.use_nesterov True needs optimizer.momentum above 0"}},
    {"optimizer:\n  trust_coefficient: 0\n", {"optimizer.trust_coefficient: expected a number above 0"}},
    {"optimizer:\n  adam: True\n", {"optimizer.adam", "optimizer_type AdamW"}},
    {"optimizer:\n  optimizer_type: Sgdd\n", {"expected SGD, Adam, AdamW", "found 'Sgdd'"}},
    {"optimizer:\n  eps1: 0.9\n",
     {"f.yaml:2: optimizer.eps1: this is a setting of Adafactor", "later release"}},
    {"optimizer:\n  beta1: 1\n", {"optimizer.beta1: expected a number from 0 up to but not including 1"}},
    {"optimizer:\n  betas: 0.9\n", {"optimizer.betas: expected a list of two numbers, found '0.9'"}},
    {"optimizer:\n  etas: [1.2, 0.5]\n", {"optimizer.etas", "found '1.2'"}},
    {"optimizer:\n  optimizer_type: RMSprop\n  alpha: 1.5\n", {"optimizer.alpha of RMSprop", "found 1.5"}},
    {"optimizer:\n  learning_rate: {scheduler: ChainedScheduler, val: 1}\n",
     {"expected one of Constant, Linear", "found 'ChainedScheduler'"}},
    {"runconfig:\n  pipeline_stages: 2\n",
     {"f.yaml:2: runconfig.pipeline_stages 2 without runconfig.execution layer_pipelined"}},
    {"runconfig:\n  pipeline_stages: 0\n", {"f.yaml:2: runconfig.pipeline_stages", "found '0'"}},
    {"runconfig:\n  execution: pipeline\n",
     {"f.yaml:2: runconfig.execution", "one of data_parallel, layer_pipelined"}},
    {"runconfig:\n  plan: {0: 1}\n",
     {"f.yaml:2: runconfig.plan: expected one line of text, found a mapping"}},
    {"runconfig:\n  validate_only: True\n",
     {"f.yaml:2: runconfig.validate_only True", "HINT: fcmnist_mpi --validate_only"}},
    {"runconfig:\n  validate_only: 3\n", {"runconfig.validate_only: expected True or False"}},
    {"runconfig:\n  compile_only: True\n",
     {"f.yaml:2: runconfig.compile_only True", "HINT: fcmnist_mpi --compile_only"}},
    {"runconfig:\n  wire_type: float16\n", {"f.yaml:2: runconfig.wire_type", "float32", "bfloat16"}},
    {"runconfig:\n  reproducible: True\n  blas_threads: 2\n",
     {"f.yaml:3: runconfig.reproducible True needs runconfig.blas_threads 1, found 2"}},
    {"runconfig:\n  reproducible: True\n  wire_type: bfloat16\n",
     {"f.yaml:3: runconfig.reproducible True needs runconfig.wire_type float32, found bfloat16"}},
    {"train_input:\n  batch_size_per_replica: 8\nrunconfig:\n  reproducible: True\n",
     {"f.yaml:2: runconfig.reproducible True needs train_input.batch_size, found "
      "train_input.batch_size_per_replica"}},
    {"eval_input:\n  batch_size_per_replica: 8\nrunconfig:\n  reproducible: True\n  eval_steps: 3\n",
     {"f.yaml:2: runconfig.reproducible True needs eval_input.batch_size"}},
    {"runconfig:\n  microbatch: -1\n", {"f.yaml:2: runconfig.microbatch", "found '-1'"}},
    {"runconfig:\n  nan_policy: ignore\n", {"f.yaml:2: runconfig.nan_policy", "one of stop, skip"}},
    {"runconfig:\n  max_time: 90s\n", {"f.yaml:2: runconfig.max_time", "as Slurm writes it", "found '90s'"}},
    {"runconfig:\n  max_time: 0\n", {"runconfig.max_time", "above 0"}},
    {"runconfig:\n  max_time: 0:00:00\n", {"runconfig.max_time", "above 0"}},
    {"runconfig:\n  max_time: 1:60:00\n", {"runconfig.max_time"}},
    {"runconfig:\n  max_time: 1:00:60\n", {"runconfig.max_time"}},
    {"runconfig:\n  max_time: :10:00\n", {"runconfig.max_time"}},
    {"runconfig:\n  max_time: -1:10:00\n", {"runconfig.max_time"}},
    {"runconfig:\n  max_time: 1:+1:00\n", {"runconfig.max_time"}},
    {"runconfig:\n  max_time: 1:00:00:00\n", {"runconfig.max_time"}},
    {"runconfig:\n  max_time: [1]\n", {"runconfig.max_time"}},
    {"runconfig:\n  checkpoint_interval_s: -1\n", {"runconfig.checkpoint_interval_s"}},
    // Other names, and keys with one value
    {"optimizer:\n  weight_decay: 0.1\n  weight_decay_rate: 0.2\n",
     {"f.yaml:3: optimizer.weight_decay_rate 0.2 and optimizer.weight_decay 0.1 (f.yaml:2) mean the same and "
      "differ"}},
    {"optimizer:\n  weight_decay: -1\n", {"f.yaml:2: optimizer.weight_decay: expected a number, at least 0"}},
    {"optimizer:\n  dampening: 0.5\n", {"f.yaml:2: optimizer.dampening", "found '0.5'", "write 0"}},
    {"optimizer:\n  maximize: True\n", {"f.yaml:2: optimizer.maximize", "found 'True'"}},
    {"model:\n  fp16_type: cbfloat16\n", {"f.yaml:2: model.fp16_type cbfloat16", "model.fp16_type bfloat16"}},
    {"model:\n  fp16_type: float32\n", {"f.yaml:2: model.fp16_type: expected one of bfloat16, float16"}},
    {"model:\n  activation_fn:\n", {"f.yaml:2: model.activation_fn: expected relu", "write relu"}},
    {"model:\n  lora_params: {r: 4}\n", {"f.yaml:2: model.lora_params", "found a mapping"}},
    {"runconfig:\n  max_checkpoints: 1\n", {"f.yaml:2: runconfig.max_checkpoints", "from 2"}},
    {"runconfig:\n  checkpoint_path: a.mdl\n", {"HINT: fcmnist_mpi --checkpoint_path FILE"}},
    {"runconfig:\n  load_checkpoint_states: model\n", {"--is_pretrained_checkpoint"}},
    {"runconfig:\n  autoload_last_checkpoint: False\n", {"fcmnist_mpi --restart"}},
    {"runconfig:\n  logging: loud\n", {"f.yaml:2: runconfig.logging: expected one of debug, info"}},
    {"optimizer:\n  learning_rate: {scheduler: Linear, val: 1, cycle: True}\n",
     {"optimizer.learning_rate.cycle: expected False", "runs once"}},
    {"optimizer:\n  learning_rate: [{scheduler: Linear, val: 1, main_scheduler: chained}]\n",
     {"main_scheduler: expected sequential"}},
    // Relations
    {"model:\n  depth: 3\n", {"f.yaml:2: model.depth without model.hidden_size"}},
    {"model:\n  hidden_size: 3\n", {"f.yaml:2: model.hidden_size without model.depth", "model.hidden_sizes"}},
    {"optimizer:\n  max_gradient_norm: 1\n  max_gradient_value: 2\n",
     {"f.yaml:3", "are both given", "clip by one"}},
    {"optimizer:\n  use_nesterov: True\n  momentum: 0.0\n",
     {"f.yaml:2: optimizer.use_nesterov", "momentum above 0"}},
    {"train_input:\n  batch_size: 4\n  batch_size_per_replica: 4\n",
     {"f.yaml:3: train_input.batch_size", "both given"}},
    {"eval_input:\n  batch_size: 4\n  batch_size_per_replica: 4\n",
     {"eval_input.batch_size_per_replica are both"}},
    {"runconfig:\n  max_steps: 4\n  num_steps: 5\n",
     {"f.yaml:3: runconfig.num_steps 5 and runconfig.max_steps 4"}},
};

TEST(BadInput, EachFileGetsItsMessage) {
  for (const Bad& bad : bad_files) {
    const std::string message = usage_error_of([&] { load_text(bad.yaml); });
    for (const std::string& part : bad.says) {
      EXPECT_TRUE(contains(message, part)) << "file:\n"
                                           << bad.yaml << "\nsays: " << message << "\nwithout: " << part;
    }
  }
}

TEST(BadInput, EveryPrefixOfAFileLoadsOrGetsAMessage) {
  const std::string file = to_yaml(RunConfig());
  int loaded = 0;
  for (std::size_t length = 0; length <= file.size(); ++length) {
    try {
      load_text(file.substr(0, length));
      ++loaded;
    } catch (const UsageError& error) {
      EXPECT_TRUE(contains(error.what(), "f.yaml")) << error.what();
    }
  }
  EXPECT_GT(loaded, 0);
}

}  // namespace
}  // namespace fcmnist::config

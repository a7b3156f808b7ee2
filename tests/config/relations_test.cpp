#include "config/relations.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/support.hpp"

namespace fcmnist::config {
namespace {

using Sizes = std::vector<int>;

TEST(HiddenSizes, OfTheCommandLineReplaceThoseOfTheFile) {
  const auto sizes = [](const char* yaml, std::vector<Override> overrides) {
    return load_text(yaml, std::move(overrides)).config.model.hidden_sizes;
  };
  EXPECT_EQ(sizes("model: {depth: 2, hidden_size: 7}", {}), (Sizes{7, 7}));
  EXPECT_EQ(sizes("model: {depth: 0, hidden_size: 7}", {}), Sizes{});
  EXPECT_EQ(sizes("model: {depth: 2, hidden_size: 7}", {{"model.depth", "3"}}), (Sizes{7, 7, 7}));
  EXPECT_EQ(sizes("model: {depth: 2, hidden_size: 7}", {{"model.hidden_sizes", "[300,100]"}}),
            (Sizes{300, 100}));
  EXPECT_EQ(sizes("model: {hidden_sizes: [9], depth: 2, hidden_size: 7}", {}), Sizes{9});
  EXPECT_EQ(sizes("model: {hidden_sizes: [9], depth: 2, hidden_size: 7}", {{"model.depth", "1"}}), Sizes{7});
  EXPECT_EQ(sizes("model: {hidden_sizes: 9}", {}), Sizes{9});
}

TEST(HiddenSizes, ThatWinOverADepthGivenBesideThemAreNoted) {
  EXPECT_EQ(load_text("model: {hidden_sizes: [9], depth: 2, hidden_size: 7}").notes.size(), 1U);
  EXPECT_TRUE(load_text("model: {depth: 2, hidden_size: 7}", {{"model.hidden_sizes", "[9]"}}).notes.empty());
}

TEST(HiddenSizes, NeedBothNumbers) {
  const std::string message = usage_error_of([] {
    load_text("model:\n  hidden_sizes: [9]\n", {{"model.depth", "3"}});
  });
  EXPECT_TRUE(contains(message, "command line: model.depth without model.hidden_size")) << message;
}

TEST(Dropout, IsANumberOrOneForEachHiddenLayer) {
  const auto dropout = [](const char* yaml) { return load_text(yaml).config.model.dropout; };
  EXPECT_EQ(dropout("model: {hidden_sizes: [9, 8], dropout: 0.5}"), model::Dropout(0.5));
  EXPECT_EQ(dropout("model: {hidden_sizes: [9, 8], dropout: [0.2, 0.5]}"), model::Dropout({0.2, 0.5}));
  EXPECT_EQ(dropout("model: {depth: 3, hidden_size: 8, dropout: [0, 0.1, 0]}"),
            model::Dropout({0.0, 0.1, 0.0}));
  EXPECT_EQ(dropout("model: {hidden_sizes: [], dropout: 0.5}"), model::Dropout(0.5));
}

TEST(Dropout, OfAnotherNumberOfLayersIsRefused) {
  const std::string message =
      usage_error_of([] { load_text("model:\n  hidden_sizes: [500, 300]\n  dropout: [0.2, 0.5, 0.5]\n"); });
  EXPECT_TRUE(contains(message, "f.yaml:3: model.dropout: found a list of 3, expected one of 2")) << message;
  EXPECT_TRUE(contains(message, "model.hidden_sizes [500, 300]")) << message;
  const std::string shorter = usage_error_of([] {
    load_text("model: {hidden_sizes: [9, 8], dropout: [0.2, 0.5]}", {{"model.hidden_sizes", "[9]"}});
  });
  EXPECT_TRUE(contains(shorter, "found a list of 2, expected one of 1")) << shorter;
}

TEST(Dropout, OfInputsHasNoSparseProducts) {
  const char* file = "model: {input_dropout: 0.2}\n";
  EXPECT_EQ(load_text(file, {{"runconfig.input_products", "dense"}}).config.model.input_dropout, 0.2);
  const std::string message = usage_error_of([&] {
    load_text(file, {{"runconfig.input_products", "sparse"}});
  });
  EXPECT_TRUE(contains(message, "command line: runconfig.input_products sparse with model.input_dropout 0.2"))
      << message;
}

TEST(BatchSize, OfTheCommandLineReplacesThatOfTheFile) {
  const auto train = [](const char* yaml, std::vector<Override> overrides) {
    return load_text(yaml, std::move(overrides)).config.train_input;
  };
  EXPECT_EQ(train("train_input: {batch_size_per_replica: 8}", {}).batch_size, 0);
  EXPECT_EQ(train("train_input: {batch_size_per_replica: 8}", {}).batch_size_per_replica, 8);
  const auto global = train("train_input: {batch_size_per_replica: 8}", {{"train_input.batch_size", "32"}});
  EXPECT_EQ(global.batch_size, 32);
  EXPECT_EQ(global.batch_size_per_replica, 0);
  const auto local = train("train_input: {batch_size: 8}", {{"train_input.batch_size_per_replica", "32"}});
  EXPECT_EQ(local.batch_size, 0);
  EXPECT_EQ(local.batch_size_per_replica, 32);
}

TEST(Length, OfTheCommandLineReplacesThatOfTheFile) {
  const auto length = [](const char* yaml, std::vector<Override> overrides) {
    const RunOptions run = load_text(yaml, std::move(overrides)).config.run;
    return std::pair(run.max_steps, run.num_epochs);
  };
  using Length = std::pair<long, long>;
  EXPECT_EQ(length("model: {dropout: 0.0}", {}), Length(0, 10));
  EXPECT_EQ(length("runconfig: {max_steps: 5}", {}), Length(5, 0));
  EXPECT_EQ(length("runconfig: {num_steps: 5}", {}), Length(5, 0));
  EXPECT_EQ(length("runconfig: {num_steps: 5, max_steps: 5}", {}), Length(5, 0));
  EXPECT_EQ(length("runconfig: {max_steps: 5, num_epochs: 2}", {}), Length(5, 2));
  EXPECT_EQ(length("runconfig: {max_steps: 5}", {{"runconfig.num_epochs", "3"}}), Length(0, 3));
  EXPECT_EQ(length("runconfig: {num_steps: 5}", {{"runconfig.num_epochs", "3"}}), Length(0, 3));
  EXPECT_EQ(length("runconfig: {num_epochs: 5}", {{"runconfig.max_steps", "3"}}), Length(3, 0));
  EXPECT_EQ(length("runconfig: {num_steps: 5}", {{"runconfig.max_steps", "3"}}), Length(3, 0));
  EXPECT_EQ(length("runconfig: {max_steps: 5}", {{"runconfig.num_steps", "3"}}), Length(3, 0));
}

TEST(EvalInput, ReadsTheDataOfTrainInputUnlessItNamesItsOwn) {
  const RunConfig shared = load_text(
                               "train_input: {data_dir: /a, download: False, use_fake_data: True, mirrors: "
                               "['http://m/'], batch_size: 7}")
                               .config;
  EXPECT_EQ(shared.eval_input.data_dir, "/a");
  EXPECT_FALSE(shared.eval_input.download);
  EXPECT_TRUE(shared.eval_input.use_fake_data);
  EXPECT_EQ(shared.eval_input.mirrors, std::vector<std::string>{"http://m"});
  EXPECT_EQ(shared.eval_input.batch_size, 128);
  EXPECT_EQ(shared.eval_input.split, data::Split::test);

  const RunConfig own = load_text(
                            "train_input: {data_dir: /a, use_fake_data: True}\neval_input: {data_dir: /b, "
                            "use_fake_data: False}")
                            .config;
  EXPECT_EQ(own.eval_input.data_dir, "/b");
  EXPECT_FALSE(own.eval_input.use_fake_data);
}

TEST(Optimizer, ZeroSwitchesAClipOff) {
  EXPECT_EQ(load_text("optimizer: {max_gradient_norm: 1, max_gradient_value: 0}")
                .config.optimizer.max_gradient_norm,
            1);
}

TEST(Optimizer, NesterovNeedsMomentumWhereverThatComesFrom) {
  EXPECT_TRUE(load_overrides({{"optimizer.use_nesterov", "True"}}).config.optimizer.use_nesterov);
  EXPECT_TRUE(load_text("optimizer: {use_nesterov: True, momentum: 0.9}").config.optimizer.use_nesterov);
  EXPECT_TRUE(contains(usage_error_of([] { load_text("optimizer: {use_nesterov: True}"); }), "found 0"))
      << "a file that names no momentum has none";
}

TEST(EarlyStopping, NeedsValidationsToGoBy) {
  const auto message_of = [](const char* yaml) { return usage_error_of([&] { load_text(yaml); }); };
  const std::string alone = message_of("runconfig: {early_stopping: 3, eval_frequency: 5}");
  EXPECT_TRUE(contains(alone, "runconfig.early_stopping 3 without train_input.validation_size")) << alone;
  const std::string never =
      message_of("train_input: {validation_size: 9}\nrunconfig: {early_stopping: 3, eval_frequency: 0}");
  EXPECT_TRUE(contains(never, "runconfig.early_stopping 3 without runconfig.eval_frequency")) << never;
}

TEST(CheckWorld, CountsSamplesPerReplica) {
  RunConfig config;
  config.train_input.batch_size = 4;
  EXPECT_NO_THROW(check_world(config, 4));
  const std::string message = usage_error_of([&] { check_world(config, 7); });
  EXPECT_TRUE(contains(message, "batch_size 4 is divided among 7 replicas: 3 of them would get no sample"))
      << message;
  config.run.mode = Mode::eval;
  EXPECT_NO_THROW(check_world(config, 7));
}

TEST(CheckWorld, RefusesAGlobalBatchThatOverflows) {
  RunConfig config;
  config.train_input.batch_size = 0;
  config.train_input.batch_size_per_replica = 1'000'000;
  EXPECT_NO_THROW(check_world(config, 2147));
  EXPECT_TRUE(contains(usage_error_of([&] { check_world(config, 2148); }), "= 2148000000 samples"));
}

TEST(CheckWorld, EveryReplicaHasAMicrobatch) {
  RunConfig config;
  config.train_input.batch_size = 100;
  EXPECT_NO_THROW(check_world(config, 100));  // a replica's share is its microbatch
  config.run.microbatch = 30;
  EXPECT_NO_THROW(check_world(config, 4));
  const std::string message = usage_error_of([&] { check_world(config, 7); });
  EXPECT_TRUE(
      contains(message,
               "a step of 100 samples in microbatches of 30 (runconfig.microbatch) has 4 of them, but "
               "there are 7 replicas: 3 of them would have none"))
      << message;
  EXPECT_TRUE(contains(message, "HINT: runconfig.microbatch 14 or smaller")) << message;
  config.run.microbatch = 14;
  EXPECT_NO_THROW(check_world(config, 7));
  config.run.microbatch = 30;
  config.optimizer.grad_accum_steps = 2;
  EXPECT_NO_THROW(check_world(config, 7));
  config.train_input.batch_size = 0;
  config.train_input.batch_size_per_replica = 10;  // 140 samples, 5 microbatches
  EXPECT_TRUE(contains(usage_error_of([&] { check_world(config, 7); }), "has 5 of them"));
}

TEST(CheckWorld, ReproducibleHasMicrobatchesOf64AndNotTooMany) {
  RunConfig config;
  config.run.reproducible = true;
  config.train_input.batch_size = 200;
  EXPECT_NO_THROW(check_world(config, 4));
  EXPECT_TRUE(contains(usage_error_of([&] { check_world(config, 5); }), "in microbatches of 64"));
  config.train_input.batch_size = 64 * 4095;
  EXPECT_NO_THROW(check_world(config, 5));
  config.train_input.batch_size += 1;
  const std::string message = usage_error_of([&] { check_world(config, 5); });
  EXPECT_TRUE(contains(message, "has 4096 of them; runconfig.reproducible adds up at most 4095")) << message;
  EXPECT_TRUE(contains(message, "HINT: runconfig.microbatch 65 or larger")) << message;
  config.run.reproducible = false;
  EXPECT_NO_THROW(check_world(config, 5));
}

TEST(CheckWorld, HoldsMpirunToNumReplicas) {
  RunConfig config;
  config.run.num_replicas = 4;
  EXPECT_NO_THROW(check_world(config, 4));
  const std::string message = usage_error_of([&] { check_world(config, 2); });
  EXPECT_TRUE(contains(message, "runconfig.num_replicas is 4, but there are 2")) << message;
  EXPECT_TRUE(contains(message, "HINT: mpirun -n 4")) << message;
  config.run.mode = Mode::prepare_data;
  EXPECT_NO_THROW(check_world(config, 1));
}

RunConfig pipelined(int stages = 0, int replicas = 0) {
  RunConfig config;  // 784-500-300-10
  config.run.execution = Execution::layer_pipelined;
  config.run.pipeline_stages = stages;
  config.run.num_replicas = replicas;
  return config;
}

TEST(StagesOf, WithoutPipeliningThereIsOne) {
  for (const int ranks : {1, 2, 6}) EXPECT_EQ(stages_of(RunConfig(), ranks), 1);
  RunConfig evaluation = pipelined(2);
  evaluation.run.mode = Mode::eval;
  EXPECT_EQ(stages_of(evaluation, 3), 1) << "ranks share the samples";
}

TEST(StagesOf, AreGivenOrFollowFromTheReplicas) {
  EXPECT_EQ(stages_of(pipelined(2), 6), 2);
  EXPECT_EQ(stages_of(pipelined(3), 6), 3);
  EXPECT_EQ(stages_of(pipelined(1), 6), 1);
  EXPECT_EQ(stages_of(pipelined(0, 2), 6), 3);
  EXPECT_EQ(stages_of(pipelined(0, 6), 6), 1);
  EXPECT_EQ(stages_of(pipelined(2, 3), 6), 2);
}

TEST(StagesOf, AutoIsTheFewestThatDivideTheRanks) {
  const int expected[] = {1, 2, 3, 2, 1, 2, 1, 2, 3};  // of 1, 2, ... ranks; there are 3 layers
  for (int ranks = 1; ranks <= 9; ++ranks) EXPECT_EQ(stages_of(pipelined(), ranks), expected[ranks - 1]);
}

TEST(StagesOf, RefusesWhatDoesNotMultiply) {
  const auto refusal = [](const RunConfig& config, int ranks) {
    return usage_error_of([&] { stages_of(config, ranks); });
  };
  EXPECT_TRUE(contains(refusal(pipelined(2), 5), "pipeline_stages 2 does not divide the 5 ranks"));
  EXPECT_TRUE(contains(refusal(pipelined(2), 5), "HINT: mpirun -n 6"));
  EXPECT_TRUE(contains(refusal(pipelined(0, 4), 6), "num_replicas 4 does not divide the 6 ranks"));
  EXPECT_TRUE(contains(refusal(pipelined(2, 2), 6),
                       "num_replicas 2 x runconfig.pipeline_stages 2 = 4 ranks, but there are 6"));
  EXPECT_TRUE(contains(refusal(pipelined(4), 4), "4 stages for 3 layers"));
  EXPECT_TRUE(
      contains(refusal(pipelined(0, 1), 4), "ranks / runconfig.num_replicas 1 gives 4 stages for 3 layers"));
  EXPECT_TRUE(contains(refusal(pipelined(0, 1), 4), "HINT: use more replicas or fewer ranks"));
}

TEST(CheckWorld, CountsReplicasNotRanks) {
  RunConfig config = pipelined(2);
  config.train_input.batch_size = 3;
  EXPECT_NO_THROW(check_world(config, 6));
  const std::string message = usage_error_of([&] { check_world(config, 8); });
  EXPECT_TRUE(contains(message, "is divided among 4 replicas")) << message;
  EXPECT_TRUE(contains(message, "HINT: mpirun -n 6 or fewer")) << message;
  config.train_input.batch_size = 100;
  config.run.microbatch = 50;
  const std::string microbatches = usage_error_of([&] { check_world(config, 6); });
  EXPECT_TRUE(contains(microbatches, "there are 3 replicas: 1 of them would have none")) << microbatches;
  EXPECT_TRUE(contains(microbatches, "mpirun -n 4 or fewer")) << microbatches;
}

TEST(Relations, StagesOfAFileDoNotCountWhenTheCommandLineChoosesDataParallel) {
  Sources sources;
  sources.yaml = "runconfig:\n  execution: layer_pipelined\n  pipeline_stages: 3\n";
  EXPECT_EQ(load(sources).config.run.pipeline_stages, 3);
  sources.overrides = {{"runconfig.execution", "data_parallel"}};
  EXPECT_EQ(load(sources).config.run.pipeline_stages, 0);
  sources.overrides.push_back({"runconfig.pipeline_stages", "2"});
  EXPECT_TRUE(contains(usage_error_of([&] { load(sources); }), "pipeline_stages 2 without"));
}

TEST(Optimizer, ParametersOfOtherRulesAreNoted) {
  const auto notes = [](const std::string& optimizer) {
    return load_text("optimizer: {" + optimizer + "}\n").notes;
  };
  EXPECT_TRUE(notes("optimizer_type: AdamW, beta1: 0.8, eps: 1e-6, correct_bias: False").empty());
  EXPECT_TRUE(notes("optimizer_type: AdamW, momentum: 0.0, use_nesterov: False, centered: False").empty())
      << "what has the value of a key that is not given";
  const auto found = notes("optimizer_type: Lion, momentum: 0.9, beta1: 0.8, eps: 1e-6");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_TRUE(contains(found[0], "f.yaml:1: optimizer.momentum changes nothing: Lion has no such parameter"))
      << found[0];
  EXPECT_TRUE(contains(found[1], "optimizer.eps changes nothing")) << found[1];
  EXPECT_EQ(notes("optimizer_type: Rprop, weight_decay_rate: 0.1").size(), 1U);
}

TEST(Optimizer, NesterovNeedsMomentumOfSgdOnly) {
  EXPECT_TRUE(contains(usage_error_of([] { load_text("optimizer: {use_nesterov: True}"); }),
                       "optimizer.momentum above 0"));
  EXPECT_NO_THROW(load_text("optimizer: {optimizer_type: Adam, use_nesterov: True}"));
  const char* file = "optimizer: {use_nesterov: True, momentum: 0.9}";
  EXPECT_FALSE(load_text(file, {{"optimizer.momentum", "0"}}).config.optimizer.use_nesterov)
      << "the command line wins";
}

}  // namespace
}  // namespace fcmnist::config

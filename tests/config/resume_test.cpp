#include "config/resume.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "config/keys.hpp"
#include "config/support.hpp"

namespace fcmnist::config {
namespace {

TEST(Resume, EqualConfigurationsDoNotDiffer) {
  const ResumeDifference none = resume_difference(RunConfig(), RunConfig());
  EXPECT_TRUE(none.forbidden.empty());
  EXPECT_TRUE(none.allowed.empty());
  EXPECT_TRUE(check_resume(RunConfig(), RunConfig()).empty());
}

TEST(Resume, LongerTrainingAndOtherFoldersAreAllowed) {
  RunConfig now;
  now.run.num_epochs = 0;
  now.run.max_steps = 500;
  now.train_input.data_dir = now.eval_input.data_dir = "/scratch/mnist";
  now.eval_input.batch_size = 7;
  now.checkpoint.keep_checkpoints = 9;
  now.comm.stall_timeout_s = 10;
  const std::vector<std::string> lines = check_resume(RunConfig(), now);
  ASSERT_EQ(lines.size(), 6U);
  EXPECT_EQ(lines[0],
            "train_input.data_dir: \"./data/mnist\" in the checkpoint, \"/scratch/mnist\" from here on");
  EXPECT_EQ(lines[2], "runconfig.max_steps: not given in the checkpoint, 500 from here on");
}

TEST(Resume, OneErrorNamesEveryForbiddenDifference) {
  RunConfig now;
  now.run.seed = 2;
  now.run.log_steps = 1;
  now.model.hidden_sizes = {50};
  now.optimizer.learning_rate[0].initial_learning_rate = 0.2;
  now.train_input.batch_size = 0;
  now.train_input.batch_size_per_replica = 16;
  const std::string message = usage_error_of([&] { check_resume(RunConfig(), now); });
  EXPECT_TRUE(contains(message, "runconfig.seed: 1 in the checkpoint, 2 now")) << message;
  EXPECT_TRUE(contains(message, "model.hidden_sizes: [500, 300] in the checkpoint, [50] now")) << message;
  EXPECT_TRUE(contains(message, "optimizer.learning_rate: ")) << message;
  EXPECT_TRUE(contains(message, "train_input.batch_size: 128 in the checkpoint, not given now")) << message;
  EXPECT_TRUE(contains(message, "train_input.batch_size_per_replica: not given in the checkpoint, 16 now"))
      << message;
  EXPECT_FALSE(contains(message, "log_steps")) << message;
  EXPECT_TRUE(contains(message, "HINT: train in another -o/--model_dir, or start over with --restart"))
      << message;
}

TEST(Resume, TheReadmeListsExactlyTheKeysThatMayChange) {
  std::ifstream file(FCMNIST_README);
  ASSERT_TRUE(file) << FCMNIST_README;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = text.find("<!-- resumable keys -->");
  const std::size_t end = text.find("<!-- end -->");
  ASSERT_LT(begin, end);
  std::istringstream list(text.substr(begin + 23, end - begin - 23));
  std::vector<std::string> listed;
  for (std::string word; list >> word;) listed.push_back(word.substr(1, word.size() - 2));  // without `
  EXPECT_EQ(listed, resumable_keys());
}

TEST(Resume, TheListNamesWhatMayChange) {
  const std::vector<std::string> keys = resumable_keys();
  const auto listed = [&](const char* key) { return std::ranges::find(keys, key) != keys.end(); };
  for (const char* key : {"runconfig.max_steps",
                          "runconfig.num_epochs",
                          "runconfig.log_steps",
                          "runconfig.eval_steps",
                          "runconfig.eval_frequency",
                          "runconfig.checkpoint_steps",
                          "runconfig.keep_checkpoints",
                          "runconfig.checkpoint_interval_s",
                          "runconfig.max_time",
                          "runconfig.nan_policy",
                          "runconfig.check_replicas_steps",
                          "runconfig.save_initial_checkpoint",
                          "runconfig.mode",
                          "runconfig.model_dir",
                          "runconfig.blas_threads",
                          "runconfig.exchange_streams",
                          "runconfig.network_gbit_s",
                          "runconfig.network_latency_us",
                          "runconfig.gemm",
                          "runconfig.input_products",
                          "runconfig.plan",
                          "runconfig.logging",
                          "runconfig.stall_timeout",
                          "runconfig.execution",
                          "runconfig.pipeline_stages",
                          "runconfig.num_replicas",
                          "runconfig.save_losses",
                          "train_input.data_dir",
                          "train_input.download",
                          "train_input.mirrors",
                          "eval_input.data_dir",
                          "model.mixed_precision",
                          "model.half_type",
                          "optimizer.loss_scaling_factor",
                          "eval_input.batch_size",
                          "eval_input.batch_size_per_replica"}) {
    EXPECT_TRUE(listed(key)) << key;
  }
  for (const char* key :
       {"runconfig.seed", "runconfig.steps_per_epoch", "train_input.batch_size", "train_input.shuffle",
        "train_input.split", "train_input.use_fake_data", "eval_input.split", "model.hidden_sizes",
        "model.dropout", "optimizer.learning_rate", "optimizer.momentum", "optimizer.grad_accum_steps"}) {
    EXPECT_FALSE(listed(key)) << key;
  }
}

}  // namespace
}  // namespace fcmnist::config

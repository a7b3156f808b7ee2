#include "config/synonyms.hpp"

#include <gtest/gtest.h>

#include <string>

#include "config/keys.hpp"

namespace fcmnist::config {
namespace {

TEST(Synonyms, LeadToKeysWhateverTheirSpelling) {
  EXPECT_EQ(synonym("lr"), "optimizer.learning_rate");
  EXPECT_EQ(synonym("LR"), "optimizer.learning_rate");
  EXPECT_EQ(synonym("max-epochs"), "runconfig.num_epochs");
  EXPECT_EQ(synonym("momentum"), "");
  EXPECT_EQ(synonym(""), "");
}

TEST(Synonyms, AreNoKeysAndNameKeys) {
  for (const char* word : {"lr",        "wd",        "l2",   "bs",      "epochs",   "steps",
                           "amp",       "hidden",    "clip", "timeout", "threads",  "log_level",
                           "workers",   "data",      "init", "optim",   "walltime", "deterministic",
                           "grad_clip", "output_dir"}) {
    ASSERT_NE(synonym(word), "") << word;
    EXPECT_NE(find_key(synonym(word)), nullptr) << word;
    for (const std::string& section : section_names())
      EXPECT_EQ(find_key(section + "." + word), nullptr) << word;
  }
}

}  // namespace
}  // namespace fcmnist::config

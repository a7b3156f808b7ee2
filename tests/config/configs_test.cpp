// The files in configs/, as users run them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "config/keys.hpp"
#include "config/support.hpp"

namespace fcmnist::config {
namespace {

std::string text_of(const std::string& name) {
  std::ifstream file(std::filesystem::path(FCMNIST_CONFIGS_DIR) / name);
  EXPECT_TRUE(file) << name;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Configs, AllLoad) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FCMNIST_CONFIGS_DIR)) {
    if (entry.path().extension() != ".yaml") continue;
    EXPECT_NO_THROW(load_text(text_of(entry.path().filename()))) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 3);
}

TEST(Configs, The500By300FileIsTheBuiltInExperiment) {
  const Loaded loaded = load_text(text_of("fcmnist_500_300.yaml"));
  EXPECT_EQ(loaded.config, built_in_experiment());
  EXPECT_EQ(to_yaml(loaded.config), to_yaml(built_in_experiment()));
  EXPECT_TRUE(loaded.notes.empty());
}

TEST(Configs, The500By300FileNamesEveryKeyThatSetsSomething) {
  const std::string text = text_of("fcmnist_500_300.yaml");
  for (const Key& key : all_keys()) {
    if (key.kind == KeyKind::active) {
      EXPECT_TRUE(contains(text, key.name)) << key.full_name();
    }
  }
}

bool begins_with_a_section(const std::string& name) {
  return std::ranges::find(section_names(), name.substr(0, name.find('.'))) != section_names().end();
}

/// Full names of keys in the first column of the tables of configs/README.md, row by row.
std::vector<std::vector<std::string>> documented_keys() {
  std::vector<std::vector<std::string>> rows;
  std::istringstream text(text_of("README.md"));
  for (std::string line; std::getline(text, line);) {
    if (!line.starts_with("| ")) continue;
    rows.emplace_back();
    std::istringstream cell(line.substr(0, line.find(" | ")));
    bool is_quoted = false;
    for (std::string piece; std::getline(cell, piece, '`'); is_quoted = !is_quoted) {
      const bool has_section = piece.find('.') != std::string::npos && begins_with_a_section(piece);
      if (is_quoted && has_section) rows.back().push_back(piece);
    }
  }
  return rows;
}

TEST(Configs, TheReadmeDocumentsEachKeyOnceAndNoOther) {
  std::vector<std::string> documented, keys;
  for (const auto& row : documented_keys()) documented.insert(documented.end(), row.begin(), row.end());
  for (const Key& key : all_keys()) keys.push_back(key.full_name());
  EXPECT_THAT(documented, testing::UnorderedElementsAreArray(keys));
}

TEST(Configs, TheReadmeHasARowForEachKeyThatSetsSomething) {
  const auto rows = documented_keys();
  for (const Key& key : all_keys()) {
    if (key.kind >= KeyKind::inert) continue;  // these share rows
    const std::vector<std::string> row = {key.full_name()};
    EXPECT_EQ(std::ranges::count(rows, row), 1) << key.full_name();
  }
}

TEST(Configs, ParamsIsTheReferencesTenByFifty) {
  const RunConfig c = load_text(text_of("params.yaml")).config;
  EXPECT_EQ(c.model.hidden_sizes, std::vector<int>(10, 50));
  EXPECT_EQ(c.optimizer.learning_rate,
            (std::vector<optim::SchedulePiece>{{optim::ScheduleKind::constant, 0.001, 0.0, 1.0, 0}}));
  EXPECT_EQ(c.run.max_steps, 10000);
  EXPECT_EQ(c.run.num_epochs, 0);
  EXPECT_EQ(c.checkpoint.checkpoint_steps, 2000);
  EXPECT_TRUE(c.train_input.drop_last_batch);
}

TEST(Configs, SmokeNeedsNoFiles) {
  const RunConfig c = load_text(text_of("smoke.yaml")).config;
  EXPECT_TRUE(c.train_input.use_fake_data);
  EXPECT_TRUE(c.eval_input.use_fake_data);
  EXPECT_LE(c.run.max_steps, 500);
}

}  // namespace
}  // namespace fcmnist::config

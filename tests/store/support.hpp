#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "core/arena.hpp"
#include "core/counter_rng.hpp"
#include "core/log.hpp"
#include "store/checkpoint.hpp"
#include "store/metrics_file.hpp"
#include "store/sealed_file.hpp"
#include "support/file_content.hpp"
#include "support/log_text.hpp"
#include "support/temporary_directory.hpp"

namespace fcmnist::store {

using test::content;

inline void put(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// This checkpoint in format version 1, where the seal stands before the image.
inline std::string version_1(const std::string& checkpoint) {
  const std::string image = checkpoint.substr(0, checkpoint.size() - seal_bytes);
  return seal_of(FileKind::checkpoint, 1, std::as_bytes(std::span(image))) + image;
}

inline std::vector<std::string> names_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// The message of the E that `action` throws; any other outcome fails the test.
template <class E, class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another exception: " << error.what();
    return "";
  }
  ADD_FAILURE() << "no exception";
  return "";
}

inline ::testing::AssertionResult contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "\"" << part << "\" is not in: " << text;
}

/// The layout of a multi-layer perceptron with PyTorch's names.
inline Layout mlp_layout(const std::vector<std::size_t>& widths) {
  Layout layout;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    const bool last = i + 2 == widths.size();
    const std::string name = last ? "last_layer" : "fc_layers." + std::to_string(i);
    layout.add(name + ".weight", widths[i + 1], widths[i]);
    layout.add(name + ".bias", 1, widths[i + 1]);
  }
  return layout;
}

/// Fills the slots of an arena with all kinds of bits: normal numbers, and now and then a zero, a denormal,
/// an infinity.
inline void fill(ArenaView<float> values, std::uint64_t seed) {
  const CounterRng rng(seed, Purpose::weight_init, 0, 0);
  for (const Slot& slot : values.layout().slots()) {
    for (std::size_t i = 0; i < slot.count(); ++i) {
      const auto n = static_cast<std::uint32_t>(slot.offset + i);
      values.data()[slot.offset + i] = static_cast<float>(rng.normal(n));
    }
    values.data()[slot.offset] = -0.0F;
    values.data()[slot.offset + slot.count() - 1] = 1e-41F;
  }
}

inline CheckpointHeader example_header() {
  CheckpointHeader header;
  header.state = {
      1234, 3,     17, 157'952, 0xFFFF'FFFF'FFFF'FFFEU, std::string(64, 'a'), 2, {0.1, 77.0, 128.0, 1},
      -47,  512.0, 41};
  header.evaluation = Evaluation{0.0625, 0.9857};
  header.config_yaml = "runconfig:\n  seed: 18446744073709551614\n  note: Zürich\n";
  header.manifest.add("version", std::string("0.1.0"));
  header.manifest.add("ranks", std::int64_t{8});
  header.manifest.add("start_unix_s", 1700000000.5);
  header.manifest.add("host_names", std::vector<std::string>{"node01", "node02"});
  return header;
}

/// Numbers that a Python program can compute again from the step: see read_back_test.py.
inline TrainRow train_row(std::int64_t step) {
  const auto x = static_cast<double>(step);
  return {step,
          step / 100,
          1 / x,
          1 - 1 / x,
          0.1 * x,
          x * x,
          1000 + x,
          0.5 * x,
          0.25 * x,
          0.125 * x,
          0.0625 * x,
          -x,
          step % 3 == 0 ? 1 : 0,
          1 / (1 + x),
          8 * x,
          std::vector<double>(static_cast<std::size_t>(step % 4), 0.5 + x),
          {static_cast<float>(step) / 2, static_cast<float>(step) / 4}};
}

/// Each number tells step, rank and column.
inline RankRow rank_row_of(std::int64_t step, std::size_t ranks) {
  RankRow row{step, false, std::vector<RankTime>(ranks)};
  for (std::size_t r = 0; r < ranks; ++r) {
    float column = 0;
    for_each_rank_column([&](const char*, auto member, const char*) {
      row.ranks[r].*member = static_cast<float>(step) + 100.0F * static_cast<float>(r) + 0.125F * column++;
    });
  }
  return row;
}

inline ArrayRow array_row(std::int64_t step) {
  const auto x = static_cast<float>(step);
  return {step, {x + 0.5F, x + 0.25F}, {1 / x, 2 / x}};
}

inline EvalRow eval_row(std::int64_t step, std::size_t classes) {
  EvalRow row{step, step / 100, 2.0 / static_cast<double>(step), 0.5, 0.5 * static_cast<double>(step), {}};
  for (std::size_t i = 0; i < classes * classes; ++i)
    row.confusion.push_back(step * 1000 + static_cast<long>(i));
  for (std::int64_t i = 0; i < 3 + step % 7; ++i)
    row.predicted.push_back(static_cast<std::uint8_t>((step + i) % static_cast<std::int64_t>(classes)));
  return row;
}

}  // namespace fcmnist::store

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/value.hpp"

namespace fcmnist::config {

// Releases 2.2 and later of the reference write the same settings in another layout:
//   trainer: {init: {model_dir, seed, model: {...}, optimizer: {SGD: {...}}, loop: {...}, ...}, fit: {...}}

inline constexpr std::string_view trainer_section = "trainer";

/// Whether a mapping is what stands below "trainer:".
bool is_trainer(const Value& value);

/// What a file of that layout says, as keys of this program: names are "section.key", places and values those of the
/// file. A value that is written in two ways (a schedule, a fraction) is written in ours. Appends a line to `notes`
/// for what changes nothing here. Throws UsageError, with what to write instead, for what has no counterpart.
std::vector<Value::Entry> keys_of_trainer(const Value& trainer, std::vector<std::string>& notes);

/// The key of a place such as "trainer.init.loop.max_steps"; empty if there is none.
std::string key_of_trainer_place(std::string_view place);

}  // namespace fcmnist::config

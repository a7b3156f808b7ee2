#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/given.hpp"
#include "config/value.hpp"
#include "optim/options.hpp"

namespace fcmnist::config {

optim::OptimizerType read_optimizer_type(const Value& value, const std::string& key);
std::string write_optimizer_type(optim::OptimizerType type);

/// A line for each parameter that was given though the rule of that type has none of that name. A file may have the
/// parameters of several rules, of which the command line chooses one.
std::vector<std::string> notes_on_unused_parameters(const Given& given,
                                                    const optim::OptimizerOptions& optimizer);

}  // namespace fcmnist::config

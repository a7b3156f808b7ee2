#pragma once

#include <string>

#include "plan/forecast.hpp"
#include "plan/mapping.hpp"
#include "plan/rates.hpp"

namespace fcmnist::plan {

/// The forecast of a run without stages and without sums of integers, and what it is made of, as one JSON object: for --forecast_file, and so for the
/// simulated cluster (tests/sim). Seconds, bytes and numbers; README.md lists the names.
std::string forecast_text(const config::RunConfig& config, const Mapping& mapping, const Rates& rates,
                          const Forecast& expected);

}  // namespace fcmnist::plan

#include "sim/forecast_file.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <stdexcept>
#include <string>

namespace fcmnist::sim {

ForecastFile read_forecast(const std::filesystem::path& path) {
  try {
    const YAML::Node file = YAML::LoadFile(path.string());  // JSON is YAML
    ForecastFile forecast;
    forecast.part_numbers = file["part_numbers"].as<std::vector<std::size_t>>();
    forecast.part_written_s = file["part_written_s"].as<std::vector<double>>();
    forecast.computing_s = file["data_s"].as<double>() + file["compute_s"].as<double>();
    forecast.update_s = file["update_s"].as<double>();
    if (file["wire_type"].as<std::string>() == "bfloat16") forecast.wire_type = comm::WireType::bfloat16;
    if (forecast.part_numbers.empty()) throw std::runtime_error(fmt::format("{}: no parts", path.string()));
    if (forecast.part_written_s.size() != forecast.part_numbers.size()) {
      throw std::runtime_error(fmt::format("{} parts, {} of them written", forecast.part_numbers.size(),
                                           forecast.part_written_s.size()));
    }
    return forecast;
  } catch (const YAML::Exception& error) {
    throw std::runtime_error(fmt::format("{}: {}", path.string(), error.what()));
  }
}

}  // namespace fcmnist::sim

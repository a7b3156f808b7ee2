#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "store/hdf5.hpp"
#include "store/metrics_rows.hpp"

/// The tables of a metrics file, as FORMAT.md has them: a dataset for each column. Internal to MetricsFile.
namespace fcmnist::store {

/// Write a table into a new group.
void write_table(const hdf5::Group& group, const std::vector<TrainRow>& rows,
                 const std::vector<std::string>& arrays);
void write_table(const hdf5::Group& group, const std::vector<EvalRow>& rows, std::size_t classes);

/// Read a table. Throw StoreError if a column is absent, or has another type or length than the others.
std::vector<TrainRow> read_train_table(const hdf5::Group& group);
std::vector<EvalRow> read_eval_table(const hdf5::Group& group, std::size_t classes);

}  // namespace fcmnist::store

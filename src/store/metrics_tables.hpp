#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "store/hdf5.hpp"
#include "store/metrics_rows.hpp"
#include "store/rank_rows.hpp"

/// The tables of a metrics file, as FORMAT.md has them: a dataset for each column. Internal to MetricsFile.
namespace fcmnist::store {

/// Write a table into a new group.
void write_table(const hdf5::Group& group, const std::vector<TrainRow>& rows,
                 const std::vector<std::string>& arrays);
void write_table(const hdf5::Group& group, const std::vector<EvalRow>& rows, std::size_t classes);

/// Writes the groups `ranks` and `ranks_summary` into the root, each only if it has rows.
void write_rank_tables(const hdf5::Group& root, const std::vector<RankRow>& rows,
                       const MetricsSubject& subject);

/// Writes the group `arrays` into the root, if it has rows.
void write_array_table(const hdf5::Group& root, const std::vector<ArrayRow>& rows,
                       const std::vector<std::string>& arrays);

/// Read a table. Throw StoreError if a column is absent, or has another type or length than the others.
std::vector<TrainRow> read_train_table(const hdf5::Group& group);
std::vector<EvalRow> read_eval_table(const hdf5::Group& group, std::size_t classes);
/// Both groups, in the order of the steps.
std::vector<RankRow> read_rank_tables(const hdf5::Group& root);
/// No rows if there is no such group.
std::vector<ArrayRow> read_array_table(const hdf5::Group& root);

}  // namespace fcmnist::store

#include "bench/report.hpp"

namespace fcmnist::bench {

Report::Report(bool is_table) : report_(benchmark::CreateDefaultDisplayReporter()), is_table_(is_table) {}

void Report::ReportRuns(const std::vector<Run>& runs) {
  std::vector<Run> renamed = runs;
  for (Run& run : renamed) {
    run.run_name.iterations.clear();
    run.run_name.time_type.clear();
    all_succeeded_ &= !run.error_occurred;
  }
  if (is_table_) {
    table_.insert(table_.end(), renamed.begin(), renamed.end());
  } else {
    report_->ReportRuns(renamed);
  }
}

void Report::Finalize() {
  if (!table_.empty()) report_->ReportRuns(table_);
  report_->Finalize();
}

}  // namespace fcmnist::bench

#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

namespace fcmnist::bench {

/// The report in the format that --benchmark_format asks for, with two changes: names are as registered,
/// without "/iterations:1/manual_time"; and a table is written at the end, because the library takes its
/// columns from the counters of the first benchmark that is reported.
class Report : public benchmark::BenchmarkReporter {
 public:
  explicit Report(bool is_table);

  bool ReportContext(const Context& context) override { return report_->ReportContext(context); }
  void ReportRuns(const std::vector<Run>& runs) override;
  void Finalize() override;

  [[nodiscard]] bool all_succeeded() const { return all_succeeded_; }

 private:
  std::unique_ptr<benchmark::BenchmarkReporter> report_;
  bool is_table_;
  std::vector<Run> table_;
  bool all_succeeded_ = true;
};

/// For ranks other than 0.
class NoReport : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& /*context*/) override { return true; }
  void ReportRuns(const std::vector<Run>& /*runs*/) override {}
};

}  // namespace fcmnist::bench

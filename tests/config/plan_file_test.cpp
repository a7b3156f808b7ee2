#include "config/plan_file.hpp"

#include <gtest/gtest.h>

#include <string>

#include "config/support.hpp"

namespace fcmnist::config {
namespace {

using kernels::GemmBackend;

Plan a_plan() {
  constexpr auto openblas = GemmBackend::openblas, onednn = GemmBackend::onednn;
  Plan plan;
  plan.target = {"A \"fast\" one \\ 2",
                 "OpenBLAS 0.3.21 Zen; oneDNN 2.6.3 avx2",
                 "float16 emulated",
                 2,
                 {784, 500, 10},
                 64,
                 8,
                 2,
                 2};
  plan.gemm = {{openblas, openblas, onednn}, {onednn, openblas, openblas}};
  plan.exchange_streams = 4;
  plan.first_layers = {0, 1};
  return plan;
}

Plan of_one_rank() {
  Plan plan = a_plan();
  plan.target.ranks = plan.target.nodes = plan.target.stages = 1;
  plan.exchange_streams = 0;
  plan.first_layers.clear();
  return plan;
}

/// Of halves that are multiplied by instructions.
Plan without_libraries() {
  Plan plan = a_plan();
  plan.target.precision = "bfloat16 by AMX";
  plan.gemm.clear();
  return plan;
}

/// What read_plan says when `part` of the text of a good plan is replaced.
std::string error_with(const std::string& part, const std::string& other, const Plan& plan = a_plan()) {
  std::string text = write_plan(plan);
  const std::size_t at = text.find(part);
  EXPECT_NE(at, std::string::npos) << part << " in\n" << text;
  return usage_error_of([&] { read_plan(text.replace(at, part.size(), other), "p.yaml"); });
}

TEST(PlanFile, IsReadAsItWasWritten) {
  EXPECT_EQ(read_plan(write_plan(a_plan()), "p.yaml"), a_plan());
  EXPECT_EQ(read_plan(write_plan(of_one_rank()), "p.yaml"), of_one_rank());
  EXPECT_EQ(read_plan(write_plan(without_libraries()), "p.yaml"), without_libraries());
}

TEST(PlanFile, WithoutAPrecisionIsOfFloat32) {
  std::string text = write_plan(a_plan());
  const std::string line = "  precision: \"float16 emulated\"\n";
  text.erase(text.find(line), line.size());
  Plan expected = a_plan();
  expected.target.precision = "float32";
  EXPECT_EQ(read_plan(text, "p.yaml"), expected);
}

TEST(PlanFile, SaysWhereWhatIsWrong) {
  const auto expect = [](const std::string& said, std::initializer_list<const char*> parts) {
    for (const char* part : parts) EXPECT_TRUE(contains(said, part)) << said;
  };
  const char* mend = "HINT: write it anew: the same command with --compile_only";
  expect(error_with("format_version: 1", "format_version: 2"),
         {"p.yaml:2: format_version: expected 1, found '2'", mend});
  expect(error_with("format_version: 1\n", ""), {"p.yaml:2: plan: no key 'format_version'", mend});
  expect(error_with("  ranks: 8\n", ""), {"p.yaml:4: machine: no key 'ranks'", mend});
  expect(error_with("ranks: 8", "rank: 8"), {"machine: no key 'ranks'"});
  expect(error_with("ranks: 8", "ranks: 0"),
         {"p.yaml:10: machine.ranks: expected a whole number", "found '0'"});
  expect(error_with("microbatch: 64", "microbatch: much"),
         {"p.yaml:9: machine.microbatch: ", "found 'much'"});
  expect(error_with("[784, 500, 10]", "[784]"), {"p.yaml:8: machine.widths: expected at least two numbers"});
  expect(error_with("[784, 500, 10]", "[784, 500, 300, 10]"),
         {"p.yaml:14: gemm: expected a list of 3 layers, as machine.widths has, found a list", mend});
  expect(error_with("[openblas, openblas, onednn]", "[openblas, onednn]"),
         {"p.yaml:14: gemm: expected three libraries, for forward, delta and weight gradient, found a list"});
  expect(error_with("[openblas, openblas, onednn]", "[openblas, openblas, onedn]"),
         {"p.yaml:14: gemm: expected one of openblas, onednn, found 'onedn'", "did you mean onednn?"});
  expect(error_with("exchange_streams: 4", "exchange_streams: 0"), {"p.yaml:16: exchange_streams: "});
  expect(error_with("exchange_streams: 4", "exchange_stream: 4"),
         {"p.yaml:16: plan: unknown key 'exchange_stream'", "did you mean exchange_streams?"});
  for (const char* wrong : {"[0]", "[0, 2]", "[1, 1]", "[0, 0]", "[1, 0]", "[0, 1, 1]"}) {
    expect(error_with("[0, 1]", wrong), {"p.yaml:17: first_layers: expected "});
  }
  expect(error_with("first_layers: [0, 1]", "first_layers: []"), {"p.yaml:17: first_layers: expected"});
  expect(error_with("first_layers: [0, 1]\n", ""), {"p.yaml:2: plan: no key 'first_layers'"});
  expect(error_with("stages: 1", "stages: 1\n  colour: red", of_one_rank()),
         {"machine: unknown key 'colour'", mend});
  EXPECT_TRUE(contains(usage_error_of([] { read_plan("", "p.yaml"); }),
                       "plan: expected keys with values, found no value"));
  EXPECT_TRUE(contains(usage_error_of([] { read_plan("- 1", "p.yaml"); }), "found a list"));
}

TEST(PlanFile, ATextThatWasCutIsRefused) {
  const std::string text = write_plan(a_plan());
  for (std::size_t length = 0; length + 1 < text.size(); ++length) {
    SCOPED_TRACE(length);
    try {
      EXPECT_EQ(read_plan(text.substr(0, length), "p.yaml"),
                a_plan());  // the last brackets are optional to YAML
      EXPECT_GE(length, text.size() - 2);
    } catch (const UsageError&) {
      continue;
    }
  }
}

TEST(PlanMismatch, NamesWhatDiffers) {
  const PlanTarget target = a_plan().target;
  EXPECT_EQ(plan_mismatch(target, target), "");
  const auto changed = [&](auto change) {
    PlanTarget here = target;
    change(here);
    return plan_mismatch(target, here);
  };
  EXPECT_EQ(changed([](auto& t) { t.cpu = "B"; }), "cpu A \"fast\" one \\ 2, here B");
  EXPECT_EQ(changed([](auto& t) { t.libraries = "OpenBLAS 0.3.22"; }),
            "libraries OpenBLAS 0.3.21 Zen; oneDNN 2.6.3 avx2, here OpenBLAS 0.3.22");
  EXPECT_EQ(changed([](auto& t) { t.precision = "float32"; }), "precision float16 emulated, here float32");
  EXPECT_EQ(changed([](auto& t) { t.blas_threads = 1; }), "blas_threads 2, here 1");
  EXPECT_EQ(changed([](auto& t) { t.widths.back() = 47; }), "widths [784, 500, 10], here [784, 500, 47]");
  EXPECT_EQ(changed([](auto& t) { t.microbatch = 32; }), "microbatch 64, here 32");
  EXPECT_EQ(changed([](auto& t) { t.stages = 4; }), "stages 2, here 4");
  EXPECT_EQ(changed([](auto& t) { t.ranks = t.nodes = 1; }), "ranks 8, here 1; nodes 2, here 1");
}

TEST(LibrariesOfPlan, HoldInAnotherWorldOnly) {
  PlanTarget here = a_plan().target;
  here.ranks = 3;
  here.nodes = here.stages = 1;
  const Plan libraries = libraries_of_plan(a_plan(), here);
  EXPECT_EQ(plan_mismatch(libraries.target, here), "");
  EXPECT_EQ(libraries.gemm, a_plan().gemm);
  EXPECT_EQ(libraries.exchange_streams, 0);
  EXPECT_TRUE(libraries.first_layers.empty());
  here.microbatch = 32;
  EXPECT_EQ(plan_mismatch(libraries_of_plan(a_plan(), here).target, here), "microbatch 64, here 32");
}

}  // namespace
}  // namespace fcmnist::config

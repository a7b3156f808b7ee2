// The text of an execution plan.
#include "config/plan_file.hpp"
#include "core/error.hpp"
#include "fuzz/fuzz.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fcmnist;
  config::Plan plan;
  try {
    plan = config::read_plan(std::string(fuzz::as_text({data, size})), "plan.yaml");
  } catch (const UsageError&) {
    return 0;
  }
  // Outside of the try: what was accepted once must not be refused now.
  FCMNIST_CHECK(config::read_plan(config::write_plan(plan), "again") == plan, config::write_plan(plan));
  return 0;
}

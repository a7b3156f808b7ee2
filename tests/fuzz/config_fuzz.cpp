// The text of a configuration file; a first line "# --config NAME" is that flag.
#include "fuzz/fuzz.hpp"
#include "fuzz/read_back.hpp"

namespace {

std::string config_name(std::string_view text) {
  constexpr std::string_view flag = "# --config ";
  if (!text.starts_with(flag)) return {};
  text.remove_prefix(flag.size());
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fcmnist;
  config::Sources sources;
  sources.yaml = fuzz::as_text({data, size});
  sources.config_name = config_name(*sources.yaml);
  sources.environment = config::Environment{{"HOME", "/home/a"}, {"A", "~/$b"}};
  config::Loaded loaded;
  try {
    loaded = config::load(sources);
  } catch (const UsageError&) {
    return 0;
  }
  fuzz::check_accepted(loaded.config);  // outside of the try: what was accepted once must not be refused now
  return 0;
}

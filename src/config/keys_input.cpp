// Sections train_input and eval_input.

#include <algorithm>

#include "config/key_tables.hpp"

namespace fcmnist::config {

namespace {

using Input = data::InputOptions;

constexpr auto train = in(&RunConfig::train_input);
constexpr auto eval = in(&RunConfig::eval_input);

constexpr int largest_batch = 1'000'000;

constexpr Choice<data::Split> splits[] = {
    {"train", data::Split::train},
    {"test", data::Split::test},
    {"val", data::Split::test},
};

std::vector<std::string> read_mirrors(const Value& value, const std::string& key) {
  std::vector<std::string> mirrors = read_texts(value, key);
  for (std::size_t i = 0; i < mirrors.size(); ++i) {
    std::string& mirror = mirrors[i];
    const bool known =
        std::ranges::any_of(std::initializer_list<std::string_view>{"http://", "https://", "file://"},
                            [&](std::string_view scheme) { return mirror.starts_with(scheme); });
    const Value& item = value.items.empty() ? value : value.items[i];
    if (!known) unexpected(item, key, "an address that begins with https://, http:// or file://");
    while (mirror.ends_with('/')) mirror.pop_back();  // "/<name of the file>" is appended
  }
  return mirrors;
}

/// A key of eval_input that is written only when train_input has another value. Left out, it follows
/// train_input when a later run names another one.
template <class T>
Setting or_as_train(T Input::*member, Setting setting) {
  setting.write = [member, write = std::move(setting.write)](const RunConfig& c) {
    return c.eval_input.*member == c.train_input.*member ? std::string() : write(c);
  };
  return setting;
}

// clang-format off
const SettingRow train_settings[] = {
    {"data_dir",               may_change, text(train(&Input::data_dir))},
    {"split",                  keeps,      choice(train(&Input::split), splits)},
    {"use_fake_data",          keeps,      boolean(train(&Input::use_fake_data))},
    {"download",               may_change, boolean(train(&Input::download))},
    {"mirrors",                may_change, setting(train(&Input::mirrors), read_mirrors)},
    {"batch_size",             keeps,      integer_if_given(train(&Input::batch_size), largest_batch)},
    {"batch_size_per_replica", keeps,      integer_if_given(train(&Input::batch_size_per_replica), largest_batch)},
    {"drop_last_batch",        keeps,      boolean(train(&Input::drop_last_batch))},
    {"shuffle",                keeps,      boolean(train(&Input::shuffle))},
};

const SettingRow eval_settings[] = {
    {"data_dir",               may_change, or_as_train(&Input::data_dir, text(eval(&Input::data_dir)))},
    {"split",                  keeps,      choice(eval(&Input::split), splits)},
    {"use_fake_data",          keeps,      or_as_train(&Input::use_fake_data, boolean(eval(&Input::use_fake_data)))},
    {"download",               may_change, or_as_train(&Input::download, boolean(eval(&Input::download)))},
    {"mirrors",                may_change, or_as_train(&Input::mirrors, setting(eval(&Input::mirrors), read_mirrors))},
    {"batch_size",             may_change, integer_if_given(eval(&Input::batch_size), largest_batch)},
    {"batch_size_per_replica", may_change, integer_if_given(eval(&Input::batch_size_per_replica), largest_batch)},
};

constexpr const char* no_loaders = "images are in memory, so there are no loader processes";
constexpr const char* all_scored = "every evaluation sample is scored exactly once";

// The rows that eval_input alone has come last.
constexpr InertRow inert[] = {
    {"data_processor",      "the MNIST reader is built in; nothing is loaded by name"},
    {"num_workers",         no_loaders, any_number},
    {"num_workers_per_csx", no_loaders, any_number},
    {"prefetch_factor",     no_loaders},
    {"persistent_workers",  no_loaders, any_bool},
    {"shuffle_seed",        "the order of samples follows from runconfig.seed and the epoch"},
    {"to_float16",          "images are kept as bytes; they get the run's precision when a batch is made", any_bool},
    {"drop_last_batch",     all_scored, only_true},
    {"shuffle",             all_scored, only_true},
};
constexpr std::size_t only_in_eval = 2;
// clang-format on

}  // namespace

SectionTable train_input_table() {
  return {"train_input", train_settings, std::span(inert).first(std::size(inert) - only_in_eval), {}};
}

SectionTable eval_input_table() { return {"eval_input", eval_settings, inert, {}}; }

}  // namespace fcmnist::config

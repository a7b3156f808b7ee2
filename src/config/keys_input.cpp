// Sections train_input and eval_input.

#include <algorithm>

#include "config/key_tables.hpp"

namespace fcmnist::config {

namespace {

using Input = data::InputOptions;
using Augment = data::AugmentOptions;

constexpr auto train = in(&RunConfig::train_input);
constexpr auto eval = in(&RunConfig::eval_input);

constexpr int largest_batch = 1'000'000;
constexpr int largest_average_shift = 3;  // pixels: 49 shifts

constexpr Choice<data::ScoredWeights> scored_weights[] = {
    {"averaged", data::ScoredWeights::averaged},
    {"trained", data::ScoredWeights::trained},
};

constexpr Choice<data::Split> splits[] = {
    {"train", data::Split::train},
    {"test", data::Split::test},
    {"val", data::Split::test},
};

constexpr std::string_view of_files = "file://";

/// Expands variables everywhere, and "~" where a folder begins. A folder alone is an address of files.
std::string expand_mirror(const std::string& text, const std::optional<Environment>& environment,
                          const std::string& place) {
  if (!environment) return unquote_dollars(text);
  std::string mirror = expand_variables(text, *environment, place);
  const bool has_scheme = mirror.starts_with(of_files);
  const std::string folder = has_scheme ? mirror.substr(of_files.size()) : mirror;
  if (folder.starts_with('~')) {
    mirror = std::string(of_files) + expand_path(quote_dollars(folder), *environment, place);
  } else if (folder.starts_with('/') && !has_scheme) {
    mirror = std::string(of_files) + folder;
  }
  return mirror;
}

std::vector<std::string> read_mirrors(const Value& value, const std::string& key,
                                      const std::optional<Environment>& environment) {
  std::vector<std::string> mirrors = read_texts(value, key);
  for (std::size_t i = 0; i < mirrors.size(); ++i) {
    const Value& item = value.items.empty() ? value : value.items[i];
    std::string& mirror = mirrors[i];
    mirror = expand_mirror(mirror, environment, item.where + ": " + key);
    const bool known =
        std::ranges::any_of(std::initializer_list<std::string_view>{"http://", "https://", of_files},
                            [&](std::string_view scheme) { return mirror.starts_with(scheme); });
    if (!known) {
      unexpected(
          item, key,
          "an address that begins with https://, http:// or file://, or a folder that begins with / or ~/");
    }
    while (mirror.ends_with('/')) mirror.pop_back();  // "/<name of the file>" is appended
  }
  return mirrors;
}

template <class Member>
Setting mirror_list(Member member) {
  return {[=](const Value& value, const std::string& key, Draft& draft) {
            member(draft.config) = read_mirrors(value, key, draft.environment);
          },
          [=](const RunConfig& config) {
            std::vector<std::string> texts;
            for (const std::string& mirror : member(config)) texts.push_back(quote_dollars(mirror));
            return write(texts);
          }};
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
    {"data_dir",               may_change, path(train(&Input::data_dir))},
    {"split",                  keeps,      optional(choice(train(&Input::split), splits))},
    {"use_fake_data",          keeps,      boolean(train(&Input::use_fake_data))},
    {"download",               may_change, boolean(train(&Input::download))},
    {"mirrors",                may_change, mirror_list(train(&Input::mirrors))},
    {"batch_size",             keeps,      integer_if_given(train(&Input::batch_size), largest_batch)},
    {"batch_size_per_replica", keeps,      integer_if_given(train(&Input::batch_size_per_replica), largest_batch)},
    {"drop_last_batch",        keeps,      boolean(train(&Input::drop_last_batch))},
    {"shuffle",                keeps,      boolean(train(&Input::shuffle))},
    {"validation_size",        keeps,      integer(train(&Input::validation_size), 0, 1'000'000'000)},
    {"augment_shift",          keeps,      number(train(&Input::augment, &Augment::shift), {0, 1000, true, true, "a number of pixels from 0 to 1000"})},
    {"augment_rotation",       keeps,      number(train(&Input::augment, &Augment::rotation), {0, 90, true, true, "a number of degrees from 0 to 90"})},
    {"augment_scale",          keeps,      number(train(&Input::augment, &Augment::scale), fraction)},
    {"augment_shear",          keeps,      number(train(&Input::augment, &Augment::shear), {0, 10, true, true, "a number from 0 to 10"})},
    {"augment_elastic",        keeps,      number(train(&Input::augment, &Augment::elastic), {0, 1000, true, true, "a number of pixels from 0 to 1000"})},
    {"mixup",                  keeps,      number(train(&Input::mixup), {0, 1, true, true, "a number from 0 to 1"})},
};

const SettingRow eval_settings[] = {
    {"data_dir",               may_change, or_as_train(&Input::data_dir, path(eval(&Input::data_dir)))},
    {"split",                  keeps,      optional(choice(eval(&Input::split), splits))},
    {"use_fake_data",          keeps,      or_as_train(&Input::use_fake_data, boolean(eval(&Input::use_fake_data)))},
    {"download",               may_change, or_as_train(&Input::download, boolean(eval(&Input::download)))},
    {"mirrors",                may_change, or_as_train(&Input::mirrors, mirror_list(eval(&Input::mirrors)))},
    {"images",                 may_change, or_as_train(&Input::images, path(eval(&Input::images)))},
    {"batch_size",             may_change, integer_if_given(eval(&Input::batch_size), largest_batch)},
    {"batch_size_per_replica", may_change, integer_if_given(eval(&Input::batch_size_per_replica), largest_batch)},
    {"average_shifts",         may_change, integer(eval(&Input::average_shifts), 0, largest_average_shift)},
    {"weights",                keeps,      choice(eval(&Input::weights), scored_weights)},
};

constexpr OtherNameRow train_other_names[] = {
    {"drop_last",        "train_input.drop_last_batch"},
    {"micro_batch_size", "runconfig.microbatch"},
};

constexpr OtherNameRow eval_other_names[] = {
    {"drop_last", "eval_input.drop_last_batch"},
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
    {"num_parallel_calls",  no_loaders},
    {"shuffle_seed",        "the order of samples follows from runconfig.seed and the epoch"},
    {"fake_data_seed",      "made-up data are the same in every run"},
    {"to_float16",          "images are kept as bytes; they get the run's precision when a batch is made", any_bool},
    {"drop_last_batch",     all_scored, only_true},
    {"shuffle",             all_scored, only_true},
    {"micro_batch_size",    "how many samples are computed at once changes no score"},
};
constexpr std::size_t only_in_eval = 3;
// clang-format on

}  // namespace

SectionTable train_input_table() {
  return {.name = "train_input",
          .settings = train_settings,
          .other_names = train_other_names,
          .inert = std::span(inert).first(std::size(inert) - only_in_eval),
          .fixed = {},
          .refused = {}};
}

SectionTable eval_input_table() {
  return {.name = "eval_input",
          .settings = eval_settings,
          .other_names = eval_other_names,
          .inert = inert,
          .fixed = {},
          .refused = {}};
}

}  // namespace fcmnist::config

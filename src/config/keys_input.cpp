// Sections train_input and eval_input.

#include <algorithm>

#include "config/key_rows.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

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

/// What both sections have in common. `input`: generic lambda from the RunConfig to the InputOptions.
template <class Input>
std::vector<Key> input_keys(const std::string& section, Resume batch_resume, Input input) {
  const auto mirrors = [input](auto& c) -> auto& { return input(c).mirrors; };
  return {
      text_key(
          section, "data_dir", Resume::may_change, [input](auto& c) -> auto& { return input(c).data_dir; }),
      choice_key(
          section, "split", Resume::keeps, [input](auto& c) -> auto& { return input(c).split; }, splits),
      bool_key(
          section, "use_fake_data",
          Resume::keeps, [input](auto& c) -> auto& { return input(c).use_fake_data; }),
      bool_key(
          section, "download", Resume::may_change, [input](auto& c) -> auto& { return input(c).download; }),
      active(
          section, "mirrors", Resume::may_change,
          [mirrors](const Value& v, const std::string& key, Draft& draft) {
            mirrors(draft.config) = read_mirrors(v, key);
          },
          [mirrors](const RunConfig& c) { return write(mirrors(c)); }),
      optional_integer_key(
          section, "batch_size", batch_resume, [input](auto& c) -> auto& { return input(c).batch_size; }, 1,
          largest_batch),
      optional_integer_key(
          section, "batch_size_per_replica",
          batch_resume, [input](auto& c) -> auto& { return input(c).batch_size_per_replica; }, 1,
          largest_batch),
      inert_key(section, "data_processor", "the MNIST reader is built in; nothing is loaded by name"),
      inert_key(section, "num_workers", "images are in memory, there are no loader processes", any_number),
      inert_key(section, "num_workers_per_csx", "images are in memory, there are no loader processes",
                any_number),
      inert_key(section, "prefetch_factor", "images are in memory, there are no loader processes"),
      inert_key(section, "persistent_workers", "images are in memory, there are no loader processes",
                any_bool),
      inert_key(section, "shuffle_seed", "the order of samples follows from runconfig.seed and the epoch"),
      inert_key(section, "to_float16",
                "images are kept as bytes and become numbers of the precision when a batch is made",
                any_bool),
  };
}

void write_unless(std::vector<Key>& keys, std::string_view name, bool (*unneeded)(const RunConfig&)) {
  const auto key = std::ranges::find(keys, name, &Key::name);
  key->write = [write = key->write, unneeded](const RunConfig& c) {
    return unneeded(c) ? std::string() : write(c);
  };
}

}  // namespace

std::vector<Key> train_input_keys() {
  const std::string section = "train_input";
  auto keys = input_keys(
      section, Resume::keeps, [](auto& c) -> auto& { return c.train_input; });
  keys.push_back(bool_key(
      section, "drop_last_batch", Resume::keeps,
      [](auto& c) -> auto& { return c.train_input.drop_last_batch; }));
  keys.push_back(bool_key(
      section, "shuffle", Resume::keeps, [](auto& c) -> auto& { return c.train_input.shuffle; }));
  return keys;
}

std::vector<Key> eval_input_keys() {
  const std::string section = "eval_input";
  auto keys = input_keys(
      section, Resume::may_change, [](auto& c) -> auto& { return c.eval_input; });
  // What is as in train_input is not written, so that it follows when a later run names another place.
  write_unless(keys, "data_dir", [](auto& c) { return c.eval_input.data_dir == c.train_input.data_dir; });
  write_unless(keys, "download", [](auto& c) { return c.eval_input.download == c.train_input.download; });
  write_unless(keys, "mirrors", [](auto& c) { return c.eval_input.mirrors == c.train_input.mirrors; });
  write_unless(keys, "use_fake_data",
               [](auto& c) { return c.eval_input.use_fake_data == c.train_input.use_fake_data; });
  keys.push_back(
      inert_key(section, "drop_last_batch", "every evaluation sample is scored exactly once", only_true));
  keys.push_back(inert_key(section, "shuffle", "every evaluation sample is scored exactly once", only_true));
  return keys;
}

}  // namespace fcmnist::config

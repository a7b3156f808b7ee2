#include "config/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/given.hpp"
#include "config/keys.hpp"
#include "config/nearest.hpp"
#include "config/relations.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

constexpr std::string_view list_of_keys = "configs/fcmnist_500_300.yaml names every key";

bool is_section(const std::string& name) {
  return std::ranges::find(section_names(), name) != section_names().end();
}

bool holds_sections(const Value& value) {
  return std::ranges::any_of(value.entries, [](const Value::Entry& entry) { return is_section(entry.key); });
}

/// Reads the file and then the command line into one configuration.
class Reader {
 public:
  /// `unset` holds the values of keys that are not given.
  explicit Reader(RunConfig unset) { draft_.config = std::move(unset); }

  void read_file(const Value& root) {
    for (const Value::Entry& section : root.entries) {
      if (!is_section(section.key)) refuse_section(section);
      if (section.value.kind != Value::Kind::mapping) {
        throw UsageError(fmt::format("{}: section {}: expected keys with values, found {}", section.where,
                                     section.key, describe(section.value)),
                         "indent the keys below the section's name, or leave the section out");
      }
      for (const Value::Entry& entry : section.value.entries) {
        read_key(section.key + "." + entry.key, entry.where, entry.value, GivenBy::file);
      }
    }
  }

  void read_override(const Override& override) {
    const Value value = parse_override(override.value, override.origin);
    const Given::Entry& before = given_[override.key];
    const bool is_second = before.by == GivenBy::command_line;
    if (is_second && before.where != override.origin && before.found != override.value) {
      throw UsageError(fmt::format("{} is given twice on the command line: {} ({}) and {} ({})", override.key,
                                   before.found, before.where, override.value, override.origin),
                       "keep one of the two");
    }
    read_key(override.key, override.origin, value, GivenBy::command_line, override.value);
  }

  Loaded finish() {
    Loaded loaded;
    settle_relations(given_, draft_, loaded.notes);
    append_sentences(loaded.notes);
    loaded.config = std::move(draft_.config);
    return loaded;
  }

 private:
  [[noreturn]] static void refuse_section(const Value::Entry& entry) {
    std::string hint = fmt::format("the sections are {}", fmt::join(section_names(), ", "));
    if (const std::string meant = nearest(entry.key, section_names()); !meant.empty()) {
      hint = fmt::format("did you mean {}?", meant);
    } else if (holds_sections(entry.value)) {
      hint = fmt::format("--config {} runs that part of the file", entry.key);
    } else if (const std::string key = nearest_key(entry.key); !key.empty()) {
      hint = fmt::format("did you mean {}, inside its section?", key);
    }
    throw UsageError(fmt::format("{}: unknown section '{}'", entry.where, entry.key), hint);
  }

  void read_key(const std::string& name, const Place& where, const Value& value, GivenBy by,
                const std::string& found = {}) {
    const Key* key = find_key(name);
    if (key == nullptr) {
      const std::string meant = nearest_key(name);
      throw UsageError(fmt::format("{}: unknown key {}", where, name),
                       meant.empty() ? std::string(list_of_keys) : fmt::format("did you mean {}?", meant));
    }
    if (key->kind == KeyKind::refused) {
      throw UsageError(fmt::format("{}: {}: {}", where, name, key->sentence), "delete this key");
    }
    Given::Entry entry{by, where, found, false};
    if (key->read) key->read(value, name, draft_);
    if (key->logs_sentence) entry.logs_sentence = key->logs_sentence(value, name);
    given_.add(name, std::move(entry));
  }

  /// One line for each sentence about inert keys. Keys with the same sentence share it.
  void append_sentences(std::vector<std::string>& lines) const {
    std::vector<std::pair<std::string, std::vector<std::string>>> groups;
    for (const Key& key : all_keys()) {
      if (!given_[key.full_name()].logs_sentence) continue;
      const auto same =
          std::ranges::find_if(groups, [&](const auto& group) { return group.first == key.sentence; });
      auto& names = same == groups.end()
                        ? groups.emplace_back(key.sentence, std::vector<std::string>{}).second
                        : same->second;
      names.push_back(key.full_name());
    }
    for (const auto& [sentence, names] : groups)
      lines.push_back(fmt::format("{}: {}", fmt::join(names, ", "), sentence));
  }

  Draft draft_;
  Given given_;
};

/// The mapping that holds the sections: the document itself, or the part that --config names.
const Value& sections_of(const Value& root, const Sources& sources) {
  if (root.kind == Value::Kind::none) {
    throw UsageError(sources.yaml_name + ": no settings in this file",
                     "leave -p/--params out to use the built-in ones");
  }
  if (root.kind != Value::Kind::mapping) {
    throw UsageError(fmt::format("{}: expected sections ({}), found {}", root.where,
                                 fmt::join(section_names(), ", "), describe(root)));
  }
  if (sources.config_name.empty()) return root;
  const Value* part = root.find(sources.config_name);
  if (part != nullptr && part->kind == Value::Kind::mapping) return *part;
  if (part != nullptr) {
    throw UsageError(fmt::format("{}: --config {}: expected sections, found {}", part->where,
                                 sources.config_name, describe(*part)));
  }
  std::vector<std::string> names;
  for (const Value::Entry& entry : root.entries) {
    if (holds_sections(entry.value)) names.push_back(entry.key);
  }
  throw UsageError(fmt::format("--config {}: {} has no top-level key of that name", sources.config_name,
                               sources.yaml_name),
                   names.empty() ? "no key of this file holds sections: leave --config out"
                                 : fmt::format("it has {}", fmt::join(names, ", ")));
}

}  // namespace

Loaded load(const Sources& sources) {
  if (!sources.config_name.empty() && !sources.yaml) {
    throw UsageError(fmt::format("--config {} without a file to find it in", sources.config_name),
                     "name the file with -p/--params");
  }
  Reader reader(sources.yaml ? RunConfig() : built_in_experiment());
  if (sources.yaml) {
    const Value root = parse_yaml(*sources.yaml, sources.yaml_name);
    reader.read_file(sections_of(root, sources));
  }
  for (const Override& override : sources.overrides) reader.read_override(override);
  Loaded loaded = reader.finish();
  if (sources.multireplica) {
    const bool pipelined = loaded.config.run.execution == Execution::layer_pipelined;
    loaded.notes.push_back(
        fmt::format("--multireplica: this changes nothing; the ranks that mpirun starts are {}",
                    pipelined ? "replicas x stages; see runconfig.num_replicas and runconfig.pipeline_stages"
                              : "the replicas already"));
  }
  return loaded;
}

std::string to_yaml(const RunConfig& config) {
  std::string text =
      "# The resolved configuration, written by fcmnist_mpi: running it again repeats the run.\n";
  for (const std::string& section : section_names()) {
    text += fmt::format("{}:\n", section);
    for (const Key& key : all_keys()) {
      if (key.section != section || key.kind != KeyKind::active) continue;
      if (const std::string value = key.write(config); !value.empty()) {
        text += fmt::format("  {}: {}\n", key.name, value);
      }
    }
  }
  return text;
}

}  // namespace fcmnist::config

#include "config/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/given.hpp"
#include "config/keys.hpp"
#include "config/nearest.hpp"
#include "config/readers.hpp"
#include "config/relations.hpp"
#include "config/trainer_layout.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace fcmnist::config {

namespace {

constexpr std::string_view sweep_section = "sweep";
constexpr std::string_view list_of_keys = "configs/fcmnist_500_300.yaml names every key";

bool is_section(const std::string& name) {
  return std::ranges::find(section_names(), name) != section_names().end();
}

/// Top-level keys that other tools leave alone too: they hold what is merged elsewhere, or notes.
bool is_left_alone(const std::string& name) {
  return name.starts_with("x-") || name.starts_with('.') || name == "description";
}

bool holds_sections(const Value& value) {
  return is_trainer(value) || std::ranges::any_of(value.entries, [](const Value::Entry& entry) {
           return is_section(entry.key) || entry.key == trainer_section;
         });
}

/// Sections of the reference that have no counterpart.
constexpr std::pair<std::string_view, const char*> foreign_sections[] = {
    {"sparsity", "layers are dense here: delete this section"},
    {"wandb", "metrics go to <model_dir>/metrics.h5: delete this section"},
};

/// Reads the file and then the command line into one configuration.
class Reader {
 public:
  /// `unset` holds the values of keys that are not given.
  Reader(RunConfig unset, std::optional<Environment> environment) : unset_(std::move(unset)) {
    draft_.config = unset_;
    draft_.environment = std::move(environment);
  }

  void read_file(const Value& root) {
    if (is_trainer(root)) return read_trainer(root);
    for (const Value::Entry& section : root.entries) {
      if (is_left_alone(section.key)) continue;
      if (section.key == trainer_section) {
        read_trainer(section.value);
        continue;
      }
      if (section.key == sweep_section) {
        sweep_ = read_sweep(section.value);
        continue;
      }
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
    read_key(override.key, override.origin, value, GivenBy::command_line, override.value);
  }

  Loaded finish() {
    Loaded loaded;
    settle_relations(given_, draft_, notes_);
    append_sentences(notes_);
    append_max_time();
    check_sweep();
    loaded.sweep = std::move(sweep_);
    loaded.notes = std::move(notes_);
    loaded.config = std::move(draft_.config);
    loaded.logging = std::move(draft_.logging);
    return loaded;
  }

 private:
  [[noreturn]] static void refuse_section(const Value::Entry& entry) {
    std::string hint = fmt::format("the sections are {}", fmt::join(section_names(), ", "));
    const auto foreign =
        std::ranges::find(foreign_sections, entry.key, [](const auto& row) { return row.first; });
    if (foreign != std::end(foreign_sections)) {
      hint = foreign->second;
    } else if (const std::string meant = nearest(entry.key, section_names()); !meant.empty()) {
      hint = fmt::format("did you mean {}?", meant);
    } else if (holds_sections(entry.value)) {
      hint = fmt::format("--config {} runs that part of the file", entry.key);
    } else if (const std::string key = nearest_key(entry.key); !key.empty()) {
      hint = fmt::format("did you mean {}, inside its section?", key);
    } else if (entry.value.kind == Value::Kind::mapping) {
      hint += "; a key with what is used elsewhere by & and * begins with x- or a dot";
    }
    throw UsageError(fmt::format("{}: unknown section '{}'", entry.where, entry.key), hint);
  }

  void read_trainer(const Value& trainer) {
    for (const Value::Entry& entry : keys_of_trainer(trainer, notes_)) {
      read_key(entry.key, entry.where, entry.value, GivenBy::file);
    }
  }

  static const Key& known_key(const std::string& name, const Place& where) {
    if (const Key* key = find_key(name)) return *key;
    std::string meant = key_of_trainer_place(name);
    if (meant.empty()) meant = nearest_key(name);
    throw UsageError(fmt::format("{}: unknown key {}", where, name),
                     meant.empty() ? std::string(list_of_keys) : fmt::format("did you mean {}?", meant));
  }

  void read_key(const std::string& name, const Place& where, const Value& value, GivenBy by,
                const std::string& found = {}) {
    const Key& written = known_key(name, where);
    const Key& key = written.stands_for.empty() ? written : *find_key(written.stands_for);
    const std::string full_name = key.full_name();
    const bool has_word = value.kind != Value::Kind::none || by == GivenBy::file;
    if (key.may_be_null() && has_word && is_null(value)) {
      if (by == GivenBy::command_line && key.reset) key.reset(unset_, draft_);
      if (by == GivenBy::command_line) given_.forget(full_name);
      return;
    }
    if (key.kind == KeyKind::refused) {
      throw UsageError(fmt::format("{}: {}: {}", where, name, key.sentence), "delete this key");
    }
    Given::Entry entry{by, where, found.empty() ? value.text : found, name, false};
    const Given::Entry before = given_[full_name];
    const std::string value_before = key.write ? key.write(draft_.config) : std::string();
    const Value own = written.translate ? written.translate(value, name) : value;
    if (key.read) key.read(own, name, draft_);
    if (key.logs_sentence) entry.logs_sentence = key.logs_sentence(own, name);
    if (key.write && key.write(draft_.config) != value_before) refuse_contradiction(before, entry);
    given_.add(full_name, std::move(entry));
  }

  /// One side says a key once. On the command line the last of equal words counts, so that a script can append.
  static void refuse_contradiction(const Given::Entry& before, const Given::Entry& now) {
    if (before.by != now.by || (before.where == now.where && before.name == now.name)) return;
    if (before.name == now.name && now.by == GivenBy::command_line) {
      throw UsageError(fmt::format("{} is given twice on the command line: {} ({}) and {} ({})", now.name,
                                   before.found, before.where, now.found, now.where),
                       "keep one of the two");
    }
    throw UsageError(fmt::format("{}: {} {} and {} {} ({}) mean the same and differ", now.where, now.name,
                                 now.found, before.name, before.found, before.where),
                     "keep one of the two");
  }

  /// A time can be written in several ways, so the log says what it was taken for.
  void append_max_time() {
    const long seconds = draft_.config.run.max_time.seconds;
    if (seconds == 0 || !given_.has("runconfig.max_time")) return;
    notes_.push_back(
        fmt::format("runconfig.max_time {}: the run stops {} (hours:minutes:seconds) after its start",
                    given_["runconfig.max_time"].found, format_duration(static_cast<double>(seconds))));
  }

  void check_sweep() {
    const bool is_sweep = draft_.config.run.mode == Mode::sweep;
    if (is_sweep && !sweep_) {
      throw UsageError("mode sweep: the configuration has no section sweep",
                       "name the file that has one with -p/--params; configs/sweep_example.yaml is one");
    }
    if (sweep_ && !is_sweep)
      notes_.emplace_back("section sweep: it counts in the mode sweep only (-m sweep)");
    if (!is_sweep) return;
    if (!sweep_->rungs.empty() && draft_.config.train_input.validation_size == 0) {
      throw UsageError(
          "sweep.method successive_halving without train_input.validation_size",
          "hold samples out, for example train_input.validation_size 10000: the test set chooses nothing");
    }
    for (const SweepParameter& parameter : sweep_->parameters) {
      const Given::Entry& given = given_[parameter.key];
      if (given.by != GivenBy::command_line) continue;
      throw UsageError(
          fmt::format("{}: {} {}: the sweep gives this key its values", given.where, given.name, given.found),
          "leave it out of the command line, or of sweep.parameters");
    }
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

  RunConfig unset_;
  Draft draft_;
  std::optional<SweepOptions> sweep_;
  Given given_;
  std::vector<std::string> notes_;
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
    if (holds_sections(entry.value) && !is_left_alone(entry.key)) names.push_back(entry.key);
  }
  throw UsageError(fmt::format("--config {}: {} has no top-level key of that name", sources.config_name,
                               sources.yaml_name),
                   names.empty() ? "no key of this file holds sections: leave --config out"
                                 : fmt::format("it has {}", fmt::join(names, ", ")));
}

}  // namespace

Environment environment_for(const Sources& sources) {
  Environment variables;
  add_named_variables(sources.yaml.value_or(""), variables);
  for (const Override& override : sources.overrides) add_named_variables(override.value, variables);
  return variables;
}

Loaded load(const Sources& sources) {
  if (!sources.config_name.empty() && !sources.yaml) {
    throw UsageError(fmt::format("--config {} without a file to find it in", sources.config_name),
                     "name the file with -p/--params");
  }
  Reader reader(sources.yaml ? RunConfig() : built_in_experiment(), sources.environment);
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

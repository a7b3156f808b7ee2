#include "config/trainer_layout.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/keys.hpp"
#include "config/readers.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

/// Where a key of ours stands in that layout. A star is one name, the same in both.
struct Moved {
  std::string_view place;  ///< below "trainer."
  std::string_view key;
};

// clang-format off
constexpr Moved moved[] = {
    {"init.model_dir",                               "runconfig.model_dir"},
    {"init.seed",                                    "runconfig.seed"},
    {"init.device",                                  "runconfig.target_device"},
    {"init.backend.backend_type",                    "runconfig.target_device"},
    {"init.backend.cluster_config.max_wgt_servers",  "runconfig.num_wgt_servers"},
    {"init.backend.cluster_config.max_act_per_csx",  "runconfig.num_act_servers"},
    {"init.backend.cluster_config.*",                "runconfig.*"},
    {"init.backend.*",                               "runconfig.*"},
    {"init.model.*",                                 "model.*"},
    {"init.optimizer.*.lr",                          "optimizer.learning_rate"},
    {"init.optimizer.*.*",                           "optimizer.*"},
    {"init.schedulers",                              "optimizer.learning_rate"},
    {"init.precision.enabled",                       "model.mixed_precision"},
    {"init.precision.fp16_type",                     "model.fp16_type"},
    {"init.precision.precision_opt_level",           "runconfig.precision_opt_level"},
    {"init.precision.log_loss_scale",                "optimizer.log_summaries"},
    {"init.precision.*",                             "optimizer.*"},
    {"init.loop.grad_accum_steps",                   "optimizer.grad_accum_steps"},
    {"init.loop.*",                                  "runconfig.*"},
    {"init.checkpoint.steps",                        "runconfig.checkpoint_steps"},
    {"init.checkpoint.*",                            "runconfig.*"},
    {"init.logging.log_level",                       "runconfig.logging"},
    {"init.logging.*",                               "runconfig.*"},
    {"init.callbacks.KeepNCheckpoints.n",            "runconfig.max_checkpoints"},
    {"init.callbacks.LoadCheckpointStates.*",        "runconfig.*"},
    {"init.callbacks.DebugArgsPath.*",               "runconfig.*"},
    {"init.callbacks.ScopedTrainFlags.csx.performance.micro_batch_size",    "train_input.micro_batch_size"},
    {"init.callbacks.ScopedValidateFlags.csx.performance.micro_batch_size", "eval_input.micro_batch_size"},
    {"init.callbacks.GlobalFlags.csx.performance.micro_batch_size",         "train_input.micro_batch_size"},
    {"init.callbacks.Lora.lora_params",              "model.lora_params"},
    {"init.callbacks.WeightCompression.compressions", "model.compression"},
    {"init.callbacks.SelectiveGrad.selective_grads", "model.selective_grad"},
    {"fit.train_dataloader.*",                       "train_input.*"},
    {"fit.val_dataloader.*",                         "eval_input.*"},
    {"fit.ckpt_path",                                "runconfig.checkpoint_path"},
    {"validate.val_dataloader.*",                    "eval_input.*"},
    {"validate.ckpt_path",                           "runconfig.checkpoint_path"},
    {"validate_all.val_dataloaders.*",               "eval_input.*"},
    {"validate_all.ckpt_paths",                      "runconfig.checkpoint_path"},
};

/// What is accepted and changes nothing, with all that stands below it.
struct Inert {
  std::string_view place;
  std::string_view sentence;
};
constexpr std::string_view metrics = "metrics go to <model_dir>/metrics.h5";
constexpr std::string_view machine = "this belongs to the machine of the reference";
constexpr std::string_view in_log = "rate and remaining time are in the log";
constexpr Inert inert[] = {
    {"init.loggers",                        metrics},
    {"init.autorestart",                    "the batch scripts queue a job again that has stopped early"},
    {"init.checkpoint.checkpoint_name",     "checkpoints are called checkpoint_<step>.h5"},
    {"init.callbacks.CheckLoss",            "the loss of every step is checked; runconfig.nan_policy says what follows"},
    {"init.callbacks.ComputeNorm",          metrics},
    {"init.callbacks.LogInputSummaries",    metrics},
    {"init.callbacks.LogOptimizerParamGroup", metrics},
    {"init.callbacks.LogSparsity",          metrics},
    {"init.callbacks.NumericsLogger",       metrics},
    {"init.callbacks.ModelEvalMetrics",     "accuracy, loss and the confusion matrix are always computed"},
    {"init.callbacks.RateProfiler",         in_log},
    {"init.callbacks.DurationProfiler",     in_log},
    {"init.callbacks.FlopUtilization",      in_log},
    {"init.callbacks.SavePerformanceData",  in_log},
    {"init.callbacks.OpProfiler",           machine},
    {"init.callbacks.GlobalFlags",          machine},
    {"init.callbacks.ScopedTrainFlags",     machine},
    {"init.callbacks.ScopedValidateFlags",  machine},
    {"init.callbacks.DumpActivations",      "activations are not written; checkpoints have the weights"},
    {"init.callbacks.HFCacheDir",           "no models are fetched; train_input.data_dir is where the data are"},
};
// clang-format on

/// Whether `place` has the form of `pattern`; `star` becomes the name that its last star stands for. Names may hold
/// dots only where the pattern has them.
bool matches(std::string_view pattern, std::string_view place, std::string_view& star) {
  while (!pattern.empty()) {
    const std::string_view name = pattern.substr(0, pattern.find('.'));
    const std::string_view found = place.substr(0, place.find('.'));
    if (found.empty() || (name != "*" && name != found)) return false;
    if (name == "*") star = found;
    pattern.remove_prefix(std::min(name.size() + 1, pattern.size()));
    place.remove_prefix(std::min(found.size() + 1, place.size()));
  }
  return place.empty();
}

/// The key of a place below "trainer."; empty if there is none.
std::string key_at(std::string_view place) {
  for (const Moved& row : moved) {
    std::string_view star;
    if (!matches(row.place, place, star)) continue;
    const bool same_name = row.key.ends_with('*');
    return same_name ? std::string(row.key.substr(0, row.key.size() - 1)) + std::string(star)
                     : std::string(row.key);
  }
  return {};
}

/// What an inert place does here; empty if it is none.
std::string_view sentence_at(std::string_view place) {
  for (const Inert& row : inert) {
    const bool is_there = place.starts_with(row.place);
    if (is_there && (place.size() == row.place.size() || place[row.place.size()] == '.')) return row.sentence;
  }
  return {};
}

/// Whether keys stand below a place.
bool leads_further(std::string_view place) {
  return std::ranges::any_of(moved, [&](const Moved& row) {
    std::string_view star, pattern = row.place;
    for (std::size_t dot = pattern.find('.'); dot != std::string_view::npos;
         dot = pattern.find('.', dot + 1)) {
      if (matches(pattern.substr(0, dot), place, star)) return true;
    }
    return false;
  });
}

/// Collects the keys of one file.
class Translation {
 public:
  explicit Translation(std::vector<std::string>& notes) : notes_(&notes) {}

  void read(const std::string& place, const Place& where, const Value& value) {
    const std::string key = key_at(place);
    const bool is_scalar = value.kind == Value::Kind::scalar, is_none = value.kind == Value::Kind::none;
    if (place == "init.schedulers") {
      read_schedulers(where, value);
    } else if (leads_further(place) && !is_scalar) {
      read_inside(place, value);
    } else if (find_key(key) != nullptr) {
      add(place, key, where, value);
    } else if (const std::string_view sentence = sentence_at(place); !sentence.empty()) {
      notes_->push_back(fmt::format("trainer.{}: {}", place, sentence));
    } else if (!is_none) {
      refuse(place, key, where);
    }
  }

  std::vector<Value::Entry> finish() && {
    // A precision without `enabled` is mixed, and so the reference's default.
    if (const Value::Entry* part = precision_; part != nullptr && part->value.find("enabled") == nullptr) {
      add_word("model.mixed_precision", part->where, "True");
    }
    return std::move(keys_);
  }

 private:
  /// `key` is what its name would be here, if the place says that.
  [[noreturn]] static void refuse(const std::string& place, const std::string& key, const Place& where) {
    const std::string meant = nearest_key(key.empty() ? place.substr(place.rfind('.') + 1) : key);
    throw UsageError(fmt::format("{}: trainer.{} has no counterpart here", where, place),
                     meant.empty() ? std::string("delete it; configs/README.md lists what there is")
                                   : fmt::format("delete it; did you mean {}?", meant));
  }

  void add(const std::string& place, const std::string& key, const Place& where, const Value& value) {
    if (place.starts_with("init.optimizer.") && has_schedulers_ && key == "optimizer.learning_rate") {
      notes_->push_back(fmt::format("trainer.{}: the schedulers say the learning rate", place));
      return;
    }
    if (place == "init.loop.eval_frequency" && is_whole_run(value)) {
      add_word(key, where, "0");  // at the end only
    } else {
      keys_.push_back({key, where, value});
    }
  }

  /// The reference takes a whole number of steps, or the fraction of the training that lies between evaluations.
  static bool is_whole_run(const Value& value) {
    return value.kind == Value::Kind::scalar && (value.text == "1.0" || value.text == "1.");
  }

  void add_word(const std::string& key, const Place& where, const std::string& word) {
    Value value;
    value.kind = Value::Kind::scalar;
    value.text = word;
    value.where = where;
    keys_.push_back({key, where, std::move(value)});
  }

  void read_inside(const std::string& place, const Value& value) {
    if (value.kind == Value::Kind::scalar) {
      throw UsageError(fmt::format("{}: trainer.{}: expected keys with values, found {}", value.where, place,
                                   describe(value)));
    }
    if (value.items.size() > 1 && place != "init.callbacks") {
      throw UsageError(
          fmt::format("{}: trainer.{}: a list of {}; a run has one", value.where, place, value.items.size()),
          "keep one of them");
    }
    for (const Value& item : value.items) read_inside(place, item);
    if (place == "init") has_schedulers_ = gives_schedulers(value);
    if (place == "init.optimizer") read_optimizer_type(value);
    for (const Value::Entry& entry : value.entries) {
      if (place == "init" && entry.key == "precision" && entry.value.kind == Value::Kind::mapping)
        precision_ = &entry;
      read(place + "." + entry.key, entry.where, entry.value);
    }
  }

  void read_optimizer_type(const Value& value) {
    if (value.entries.size() != 1) {
      throw UsageError(fmt::format("{}: trainer.init.optimizer: expected one optimizer, found {}",
                                   value.where, value.entries.size()),
                       "optimizer: {SGD: {learning_rate: 0.1, momentum: 0.9}}");
    }
    add_word("optimizer.optimizer_type", value.entries[0].where, value.entries[0].key);
  }

  static bool gives_schedulers(const Value& init) {
    const Value* schedulers = init.find("schedulers");
    return schedulers != nullptr && !(schedulers->items.empty() && schedulers->entries.empty());
  }

  void read_schedulers(const Place& where, const Value& value) {
    if (!has_schedulers_) return;
    const bool is_list = value.kind == Value::Kind::list;
    if (is_list && value.items.size() > 1) {
      throw UsageError(fmt::format("{}: trainer.init.schedulers: {} schedulers of one optimizer", where,
                                   value.items.size()),
                       "one after the other: SequentialLR: {schedulers: [...]}");
    }
    keys_.push_back({"optimizer.learning_rate", where, schedule_of(is_list ? value.items[0] : value)});
  }

  /// {LinearLR: {...}} becomes {scheduler: LinearLR, ...}, and SequentialLR the list of its schedulers.
  static Value schedule_of(const Value& value) {
    if (value.kind != Value::Kind::mapping || value.entries.size() != 1) {
      throw UsageError(
          fmt::format("{}: trainer.init.schedulers: expected a scheduler with its settings, found {}",
                      value.where, describe(value)),
          "schedulers: [{LinearLR: {initial_learning_rate: 0.1, end_learning_rate: 0.0, total_iters: "
          "1000}}]");
    }
    const Value::Entry& entry = value.entries[0];
    const Value* parts =
        lower_case(entry.key).starts_with("sequential") ? entry.value.find("schedulers") : nullptr;
    Value schedule = entry.value;
    if (parts == nullptr) {
      Value name = value;
      name.kind = Value::Kind::scalar;
      name.text = entry.key;
      name.entries.clear();
      schedule.kind = Value::Kind::mapping;
      schedule.entries.insert(schedule.entries.begin(), {"scheduler", entry.where, std::move(name)});
      return schedule;
    }
    for (const Value::Entry& other : entry.value.entries) {
      if (other.key == "schedulers" || other.value.kind == Value::Kind::none) continue;
      throw UsageError(fmt::format("{}: trainer.init.schedulers: {}.{} has no counterpart here", other.where,
                                   entry.key, other.key),
                       "delete it, and give each scheduler but the last its total_iters");
    }
    schedule = *parts;
    for (Value& part : schedule.items) part = schedule_of(part);
    return schedule;
  }

  std::vector<std::string>* notes_;
  std::vector<Value::Entry> keys_;
  bool has_schedulers_ = false;
  const Value::Entry* precision_ = nullptr;
};

}  // namespace

bool is_trainer(const Value& value) {
  const Value* init = value.find("init");
  return init != nullptr && init->kind == Value::Kind::mapping;
}

std::vector<Value::Entry> keys_of_trainer(const Value& trainer, std::vector<std::string>& notes) {
  const Value* one = &trainer;
  if (trainer.kind == Value::Kind::list) {
    if (trainer.items.size() != 1) {
      throw UsageError(
          fmt::format("{}: trainer: a list of {}; a run has one", trainer.where, trainer.items.size()),
          "keep one of them in this file");
    }
    one = &trainer.items[0];
    if (const Value* inside = one->find(trainer_section)) one = inside;
  }
  if (!is_trainer(*one)) {
    throw UsageError(
        fmt::format("{}: trainer: expected init with its keys, and fit, found {}", one->where,
                    describe(*one)),
        "trainer: {init: {model: {...}, optimizer: {SGD: {...}}, ...}, fit: {train_dataloader: {...}}}");
  }
  Translation translation(notes);
  for (const Value::Entry& entry : one->entries) translation.read(entry.key, entry.where, entry.value);
  return std::move(translation).finish();
}

std::string key_of_trainer_place(std::string_view place) {
  if (place.starts_with("trainer.")) place.remove_prefix(std::string_view("trainer.").size());
  const std::string key = key_at(place);
  const Key* found = find_key(key);
  if (found == nullptr) return {};
  return found->stands_for.empty() ? key : found->stands_for;
}

}  // namespace fcmnist::config

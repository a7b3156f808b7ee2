// The only file that sees yaml-cpp. It uses the parser's events, not its node tree: the tree drops duplicate
// keys and knows no limits on nesting and aliases.

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "config/utf8.hpp"
#include "config/value.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

constexpr std::size_t max_bytes = std::size_t{1} << 20;
constexpr std::size_t max_depth = 32;
constexpr std::size_t max_values = 10000;  // aliases of aliases grow exponentially

std::size_t count_values(const Value& value) {
  std::size_t count = 1;
  for (const Value& item : value.items) count += count_values(item);
  for (const Value::Entry& entry : value.entries) count += count_values(entry.value);
  return count;
}

/// Builds the Value of one document from the parser's events.
class Builder : public YAML::EventHandler {
 public:
  /// `numbered` adds line numbers to places. An override has no lines.
  Builder(std::string name, bool numbered) : name_(std::move(name)), numbered_(numbered) {}

  [[nodiscard]] Place place(const YAML::Mark& mark) const {
    return numbered_ && mark.line >= 0 ? fmt::format("{}:{}", name_, mark.line + 1) : name_;
  }
  [[nodiscard]] const std::optional<Value>& root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add_value(make_value(Value::Kind::none, mark), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end())
      throw UsageError(place(mark) + ": an alias may not be part of what it stands for");
    Value copy = found->second;
    copy.where = place(mark);
    count_and_limit_values(count_values(copy) - 1, mark);
    add_value(std::move(copy), 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    refuse_tag(mark, tag);
    // The source text was checked, but in double quotes "\0" or "\x07" write what could not be read back.
    if (first_not_text(text)) {
      throw UsageError(place(mark) + ": an escape sequence for a control character, or for no character",
                       "write the text without it; a backslash itself is \\\\ in double quotes");
    }
    Value value = make_value(Value::Kind::scalar, mark);
    value.text = text;
    value.quoted = tag == "!";
    add_value(std::move(value), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open_collection(Value::Kind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close_collection(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open_collection(Value::Kind::mapping, mark, tag, anchor);
  }
  void OnMapEnd() override { close_collection(); }

 private:
  struct Frame {
    Value value;
    YAML::anchor_t anchor = 0;
    std::optional<Value> key;   ///< the key of a mapping that waits for its value
    std::vector<Value> merged;  ///< the values of "<<" in a mapping
  };

  [[nodiscard]] Value make_value(Value::Kind kind, const YAML::Mark& mark) {
    count_and_limit_values(1, mark);
    Value value;
    value.kind = kind;
    value.where = place(mark);
    return value;
  }

  void count_and_limit_values(std::size_t values, const YAML::Mark& mark) {
    value_count_ += values;
    if (value_count_ > max_values)
      throw UsageError(fmt::format("{}: more than {} values", place(mark), max_values));
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw UsageError(fmt::format("{}: YAML tags are not supported, found {}", place(mark), tag),
                     "write the plain value");
  }

  void open_collection(Value::Kind kind, const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor) {
    refuse_tag(mark, tag);
    if (frames_.size() >= max_depth) {
      throw UsageError(fmt::format("{}: nested deeper than {} levels", place(mark), max_depth));
    }
    frames_.push_back({make_value(kind, mark), anchor, std::nullopt, {}});
  }

  void close_collection() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    for (const Value& merged : frame.merged) merge(merged, frame.value);
    add_value(std::move(frame.value), frame.anchor);
  }

  /// Adds the entries of `from` that `into` does not have. So a mapping's own keys win, and of several merged ones
  /// the first.
  static void merge(const Value& from, Value& into) {
    for (const Value& item : from.items) merge(item, into);
    for (const Value::Entry& entry : from.entries) {
      if (into.find(entry.key) == nullptr) into.entries.push_back(entry);
    }
  }

  /// "<<" takes over the entries of a mapping, or of each mapping of a list.
  static void check_merged(const Value& value, const Place& where) {
    const bool is_list = value.kind == Value::Kind::list && !value.items.empty();
    const bool all_mappings =
        std::ranges::all_of(value.items, [](const Value& item) { return item.kind == Value::Kind::mapping; });
    if (value.kind == Value::Kind::mapping || (is_list && all_mappings)) return;
    throw UsageError(fmt::format("{}: <<: expected a mapping, or a list of mappings, found {}", where,
                                 is_list ? "a list of other values" : describe(value)),
                     "<<: *name, where &name stands before the mapping elsewhere");
  }

  void add_value(Value value, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = value;
    if (frames_.empty()) {
      root_ = std::move(value);
      return;
    }
    Frame& parent = frames_.back();
    if (parent.value.kind == Value::Kind::list) {
      parent.value.items.push_back(std::move(value));
    } else if (!parent.key) {
      parent.key = std::move(value);
    } else {
      add_entry(parent, std::move(value));
    }
  }

  static void add_entry(Frame& parent, Value value) {
    const Value key = *std::exchange(parent.key, std::nullopt);
    if (key.kind != Value::Kind::scalar) {
      throw UsageError(fmt::format("{}: expected the name of a key, found {}", key.where, describe(key)));
    }
    if (key.text == "<<" && !key.quoted) {
      check_merged(value, key.where);
      parent.merged.push_back(std::move(value));
      return;
    }
    for (const Value::Entry& other : parent.value.entries) {
      if (other.key != key.text) continue;
      throw UsageError(
          fmt::format("{}: duplicate key '{}', first given at {}", key.where, key.text, other.where),
          "delete one of the two lines");
    }
    // The parser reports a missing value at the next token, which may be many lines below.
    if (value.kind == Value::Kind::none) value.where = key.where;
    parent.value.entries.push_back({key.text, key.where, std::move(value)});
  }

  std::string name_;
  bool numbered_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Value> anchors_;
  std::optional<Value> root_;
  std::size_t value_count_ = 0;
};

void check_text(const std::string& text, const std::string& name) {
  if (text.size() > max_bytes) {
    throw UsageError(
        fmt::format("{}: {} bytes; a configuration has at most {}", name, text.size(), max_bytes),
        "is this the right file?");
  }
  if (const auto bad = first_not_text(text)) {
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(*bad), '\n') + 1;
    throw UsageError(
        fmt::format("{}:{}: not text: byte 0x{:02x} at offset {} is no UTF-8 or a control character", name,
                    line, static_cast<unsigned char>(text[*bad]), *bad),
        "save the file as UTF-8 text");
  }
}

/// The number of the last line up to the one where the parser stopped (from 0; -1: at the end) that has a tab in
/// its indentation; 0 if there is none. The parser reports such lines as all kinds of things, where it likes.
long line_indented_by_tab(const std::string& text, int stopped_at) {
  long line = 1, found = 0;
  for (std::size_t begin = 0; begin < text.size() && (stopped_at < 0 || line <= stopped_at + 1L); ++line) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::size_t first = std::min(text.find_first_not_of(" \t\r", begin), end);
    const bool has_text = first < end && text[first] != '#';
    if (has_text && text.substr(begin, first - begin).find('\t') != std::string::npos) found = line;
    begin = end + 1;
  }
  return found;
}

Value parse(const std::string& text, const std::string& name, bool numbered) {
  check_text(text, name);
  Builder builder(name, numbered);
  try {
    // yaml-cpp accepts quotes that are still open at the end of its input, but not at the end of a document.
    std::istringstream stream(text + (text.ends_with('\n') ? "...\n" : "\n...\n"));
    YAML::Parser parser(stream);
    Builder second(name, numbered);
    if (parser.HandleNextDocument(builder) && parser.HandleNextDocument(second) && second.root() &&
        second.root()->kind != Value::Kind::none) {
      throw UsageError(name + ": more than one YAML document", "keep one, without lines of '---' between");
    }
  } catch (const YAML::Exception& error) {
    if (const long line = line_indented_by_tab(text, error.mark.line); line > 0 && numbered) {
      throw UsageError(fmt::format("{}:{}: not valid YAML: this line is indented by a tab", name, line),
                       "YAML indents by spaces: replace each tab by two or more of them");
    }
    const bool open_quotes = error.msg == YAML::ErrorMsg::DOC_IN_SCALAR;
    throw UsageError(fmt::format("{}: not valid YAML: {}", builder.place(error.mark),
                                 open_quotes ? "quotes are opened above and never closed" : error.msg));
  }
  Value nothing;
  nothing.where = name;
  return builder.root().value_or(nothing);
}

}  // namespace

Value parse_yaml(const std::string& text, const std::string& name) { return parse(text, name, true); }

Value parse_override(const std::string& text, const Place& where) {
  const bool structured =
      !text.empty() && std::string_view("[{\"'").find(text.front()) != std::string_view::npos;
  if (structured) return parse(text, where, false);
  check_text(text, where);
  Value value;
  value.where = where;
  value.text = text;
  value.kind = text.empty() ? Value::Kind::none : Value::Kind::scalar;
  return value;
}

}  // namespace fcmnist::config

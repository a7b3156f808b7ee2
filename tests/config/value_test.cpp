#include "config/value.hpp"

#include <gtest/gtest.h>

#include <string>

#include "config/support.hpp"

namespace fcmnist::config {
namespace {

std::string yaml_error_of(const std::string& text) {
  return usage_error_of([&] { parse_yaml(text, "f.yaml"); });
}

TEST(ParseYaml, KeepsTextQuotesOrderAndLines) {
  const Value root =
      parse_yaml("# comment\nb: 1\na: \"1\"\nlist:\n  - x\n  - {k: v}\nnone:\nlast: ~\n", "f.yaml");
  ASSERT_EQ(root.kind, Value::Kind::mapping);
  ASSERT_EQ(root.entries.size(), 5U);
  EXPECT_EQ(root.entries[0].key, "b");
  EXPECT_EQ(root.entries[0].where, "f.yaml:2");
  EXPECT_FALSE(root.find("b")->quoted);
  EXPECT_TRUE(root.find("a")->quoted);
  EXPECT_EQ(root.find("a")->text, "1");
  const Value& list = *root.find("list");
  ASSERT_EQ(list.items.size(), 2U);
  EXPECT_EQ(list.items[1].where, "f.yaml:6");
  EXPECT_EQ(list.items[1].find("k")->text, "v");
  EXPECT_EQ(root.find("none")->kind, Value::Kind::none);
  EXPECT_EQ(root.find("none")->where, "f.yaml:7");
  EXPECT_EQ(root.find("last")->kind, Value::Kind::none);
  EXPECT_EQ(root.find("absent"), nullptr);
}

TEST(ParseYaml, EmptyTextHasNoValue) {
  for (const char* text : {"", "\n", "# only a comment\n", "---\n"}) {
    EXPECT_EQ(parse_yaml(text, "f.yaml").kind, Value::Kind::none) << text;
  }
}

TEST(ParseYaml, ReadsWindowsLinesAndAByteOrderMark) {
  EXPECT_EQ(parse_yaml("\xEF\xBB\xBF"
                       "a: 1\r\nb: 2\r\n",
                       "f.yaml")
                .find("b")
                ->text,
            "2");
}

TEST(ParseYaml, CopiesWhatAnAliasStandsFor) {
  const Value root = parse_yaml("a: &x {k: 1}\nb: *x\n", "f.yaml");
  EXPECT_EQ(root.find("b")->find("k")->text, "1");
  EXPECT_EQ(root.find("b")->where, "f.yaml:2");
}

TEST(ParseYaml, MergesMappings) {
  const Value root = parse_yaml(
      "x-a: &a {k: 1, l: 2}\nx-b: &b {k: 3, m: 4, <<: {n: 5}}\n"
      "own: {k: 0, <<: *a}\nlast: {<<: *a, k: 0}\nlist:\n  <<: [*a, *b]\n  o: 6\n",
      "f.yaml");
  const auto entries = [&](const char* name) {
    std::string text;
    for (const Value::Entry& entry : root.find(name)->entries) text += entry.key + entry.value.text + " ";
    return text;
  };
  EXPECT_EQ(entries("own"), "k0 l2 ") << "own keys win";
  EXPECT_EQ(entries("last"), "k0 l2 ") << "wherever they stand";
  EXPECT_EQ(entries("list"), "o6 k1 l2 m4 n5 ") << "of a list the first mapping wins";
  EXPECT_EQ(root.find("list")->entries[1].where, "f.yaml:1") << "errors lead to where the key stands";
  EXPECT_EQ(parse_yaml("a: &a {k: 1}\n<<: *a\n", "f.yaml").find("k")->text, "1");
}

TEST(ParseYaml, ATabIsNoErrorWhereYamlAllowsIt) {
  EXPECT_EQ(parse_yaml("a:\t1\nb: [1,\n\t2]\n\t# comment\n", "f.yaml").find("a")->text, "1");
}

TEST(ParseYaml, RefusesAliasesThatGrowWithoutBound) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 0; k < 8; ++k) bomb += ", " + before;
    bomb += "]\n";
  }
  EXPECT_TRUE(contains(yaml_error_of(bomb), "more than 10000 values"));
  EXPECT_TRUE(contains(yaml_error_of("a: &a [*a]\n"), "an alias may not be part of what it stands for"));
}

TEST(ParseYaml, RefusesDeepNestingOfEveryKind) {
  const std::string flow = "a: " + std::string(500000, '[');
  EXPECT_TRUE(contains(yaml_error_of(flow), "nested deeper than 32 levels"));
  const std::string flow_map = "a: " + std::string(500000, '{');
  EXPECT_TRUE(contains(yaml_error_of(flow_map), "nested deeper than 32 levels"));
  std::string block;
  for (int i = 0; i < 250000; ++i) block += "- ";
  EXPECT_TRUE(contains(yaml_error_of(block), "nested deeper than 32 levels"));
  std::string keys;
  for (int i = 0; i < 700; ++i) keys += std::string(static_cast<std::size_t>(i), ' ') + "k:\n";
  EXPECT_TRUE(contains(yaml_error_of(keys), "f.yaml:33: nested deeper than 32 levels"));
}

TEST(ParseYaml, RefusesDuplicateKeysWithBothLines) {
  EXPECT_TRUE(contains(yaml_error_of("a:\n  x: 1\n  y: 2\n  x: 3\n"),
                       "f.yaml:4: duplicate key 'x', first given at f.yaml:2"));
}

TEST(ParseYaml, RefusesWhatIsNoConfiguration) {
  EXPECT_TRUE(contains(yaml_error_of(std::string((1U << 20) + 1, ' ')), "1048577 bytes"));
  EXPECT_TRUE(
      contains(yaml_error_of(std::string("a: 1\nb: \0\n", 10)), "f.yaml:2: not text: byte 0x00 at offset 8"));
  EXPECT_TRUE(contains(yaml_error_of("a: 1\n---\nb: 1\n"), "more than one YAML document"));
  EXPECT_TRUE(contains(yaml_error_of("a: !!float 1\n"), "f.yaml:1: YAML tags are not supported"));
  EXPECT_TRUE(contains(yaml_error_of("[1, 2]: x\n"), "expected the name of a key, found a list"));
  EXPECT_TRUE(contains(yaml_error_of("a: 1\nb: \"x\n"), "not valid YAML"));
}

// What such a text set could be written to params.yaml, but that file could not be read.
TEST(ParseYaml, RefusesControlCharactersInEscapeSequencesToo) {
  for (const char* escaped : {"\\0", "\\a", "\\x07", "\\x7F", "\\u0000", "\\uD800", "\\U0000001B"}) {
    const std::string text = std::string("a: \"x") + escaped + "\"\n";
    EXPECT_TRUE(contains(yaml_error_of("b: 1\n" + text), "f.yaml:2: ")) << text;
    EXPECT_TRUE(contains(usage_error_of([&] { parse_override("\"x" + std::string(escaped) + "\"", "--x"); }),
                         "--x: "))
        << text;
  }
  EXPECT_TRUE(contains(yaml_error_of("\"a\\0\": 1\n"), "an escape sequence for a control character"));
  EXPECT_EQ(parse_yaml("a: \"\\u00e9\\t\\\\0\"\n", "f.yaml").find("a")->text, "\u00e9\t\\0");
}

TEST(ParseOverride, TakesPlainTextLiterally) {
  for (const char* text : {"-0.5", "a b # c: d", "*", "&x", "!tag", "http://x:80/y", "%", "@", "True"}) {
    const Value value = parse_override(text, "command line");
    EXPECT_EQ(value.kind, Value::Kind::scalar);
    EXPECT_EQ(value.text, text);
    EXPECT_FALSE(value.quoted);
    EXPECT_EQ(value.where, "command line");
  }
  EXPECT_EQ(parse_override("", "command line").kind, Value::Kind::none);
}

TEST(ParseOverride, ReadsListsMappingsAndQuotes) {
  EXPECT_EQ(parse_override("[300, 100]", "command line").items.size(), 2U);
  EXPECT_EQ(parse_override("{scheduler: Linear}", "command line").find("scheduler")->text, "Linear");
  const Value quoted = parse_override("\"a b\"", "command line");
  EXPECT_EQ(quoted.text, "a b");
  EXPECT_TRUE(quoted.quoted);
  EXPECT_TRUE(contains(usage_error_of([] { parse_override("[300,", "--x"); }), "--x: not valid YAML"));
  EXPECT_TRUE(contains(usage_error_of([] { parse_override("a\x01", "command line"); }), "not text"));
}

TEST(Describe, CutsLongTextBetweenCharacters) {
  Value value;
  value.kind = Value::Kind::scalar;
  value.text = std::string(59, 'x') + "\xC3\xA4\xC3\xA4";
  EXPECT_EQ(describe(value), "'" + std::string(59, 'x') + "...'");
}

}  // namespace
}  // namespace fcmnist::config

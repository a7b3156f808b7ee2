#include "config/paths.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "config/support.hpp"

namespace fcmnist::config {
namespace {

const Environment& variables() {
  static const Environment set = {{"HOME", "/home/me"}, {"SCRATCH", "/scratch"}, {"A_1", "a"}, {"EMPTY", ""},
                                  {"T", "~/t"},         {"LINES", "a\nb"}};
  return set;
}

std::string expanded(const std::string& path) { return expand_path(path, variables(), "here"); }

std::string error_of(const std::string& path) {
  return usage_error_of([&] { expanded(path); });
}

TEST(Paths, HomeAndVariablesAreExpanded) {
  EXPECT_EQ(expanded("~"), "/home/me");
  EXPECT_EQ(expanded("~/a b"), "/home/me/a b");
  EXPECT_EQ(expanded("$SCRATCH/x"), "/scratch/x");
  EXPECT_EQ(expanded("${SCRATCH}x"), "/scratchx");
  EXPECT_EQ(expanded("/x/$A_1/${A_1}$A_1.h5"), "/x/a/aa.h5");
  EXPECT_EQ(expanded("$T/x"), "/home/me/t/x") << "a ~ that was set in quotes";
}

TEST(Paths, AllElseStays) {
  for (const char* path : {"a~b", "/a/~/b", "./~", "./~user", ".", "a b", "/\xC3\xA4", "C:\\a"}) {
    EXPECT_EQ(expanded(path), path);
  }
  EXPECT_EQ(expanded("a$$b$$SCRATCH"), "a$b$SCRATCH");
}

TEST(Paths, WhatCannotBeExpandedIsRefusedWithAHint) {
  EXPECT_TRUE(contains(error_of("$NOTHING/x"),
                       "here: $NOTHING/x: the variable NOTHING is not set\n  HINT: export NOTHING"));
  EXPECT_TRUE(contains(error_of("$EMPTY/x"), "the variable EMPTY is empty"));
  EXPECT_TRUE(contains(error_of("$LINES"), "the value of LINES is not one line of text"));
  EXPECT_TRUE(contains(error_of("~user/x"), "homes of other users"));
  EXPECT_TRUE(contains(error_of("~user"), "\"./~\""));
  for (const char* path : {"$", "a$", "$1", "$(date)", "${", "${}", "${A_1", "${A_1:-x}", "$-", "a $ b"}) {
    EXPECT_TRUE(contains(error_of(path), "expected a name after the \"$\"")) << path;
    EXPECT_TRUE(contains(error_of(path), "HINT: $NAME and ${NAME}")) << path;
  }
  EXPECT_TRUE(
      contains(usage_error_of([] { expand_path("~/x", {}, "here"); }), "the variable HOME is not set"));
  EXPECT_TRUE(contains(usage_error_of([] { expand_path("~", {{"HOME", "x"}}, "here"); }), "HOME is 'x'"));
}

TEST(Paths, QuotedDollarsComeBack) {
  for (const char* path : {"", "$", "$$", "a$HOME$$b", "x"}) {
    EXPECT_EQ(unquote_dollars(quote_dollars(path)), path);
    EXPECT_EQ(expanded(quote_dollars(path)), path);
  }
  EXPECT_EQ(unquote_dollars("$SCRATCH/~"), "$SCRATCH/~") << "files of earlier versions";
}

TEST(Paths, OnlyNamedVariablesTravel) {
  setenv("FCMNIST_TEST_A", "1=2", 1);
  setenv("FCMNIST_TEST_B", "x", 1);
  setenv("HOME", "/home/me", 1);
  unsetenv("FCMNIST_TEST_C");
  Environment named;
  add_named_variables("a: $FCMNIST_TEST_A/b\nc: ${FCMNIST_TEST_C}$", named);
  EXPECT_EQ(named, (Environment{{"HOME", "/home/me"}, {"FCMNIST_TEST_A", "1=2"}}));
  EXPECT_EQ(environment_of_text(to_text(named)), named);
  EXPECT_EQ(environment_of_text(to_text({})), Environment());
}

}  // namespace
}  // namespace fcmnist::config

// MetricsFile and its journal: whenever a process dies, the next one has every row that was journaled, once.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <span>
#include <sstream>
#include <thread>

#include "core/digest.hpp"
#include "core/error.hpp"
#include "store/metrics_file.hpp"
#include "store/sealed_file.hpp"
#include "store/support.hpp"

namespace fcmnist::store {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t classes = 3;

std::vector<TrainRow> train_rows(long first, long last) {
  std::vector<TrainRow> rows;
  for (long step = first; step <= last; ++step) rows.push_back(train_row(step));
  return rows;
}

struct MetricsJournalTest : testing::Test {
  TemporaryDirectory directory;
  fs::path path = directory / "metrics.h5";
  fs::path journal = directory / "metrics.journal";
  test::LogText logged;
  Logger& log = logged.log();

  MetricsFile open(std::size_t with_classes = classes) {
    return MetricsFile::open_or_create(path, with_classes, "a: 1\n", {}, log);
  }
  static void append(MetricsFile& file, long first, long last) {
    for (const TrainRow& row : train_rows(first, last)) file.append(row);
  }
};

TEST_F(MetricsJournalTest, GivesBackWhatIsInNoFileYet) {
  MetricsFile file = open();
  append(file, 1, 10);
  file.append(eval_row(10, classes));
  file.write();
  append(file, 11, 20);
  file.append(eval_row(20, classes));
  file.journal();
  append(file, 21, 25);
  file.journal();
  append(file, 26, 30);  // never journaled

  const MetricsFile again = open();
  EXPECT_TRUE(again.train() == train_rows(1, 25));
  EXPECT_TRUE(again.eval() == (std::vector<EvalRow>{eval_row(10, classes), eval_row(20, classes)}));
  EXPECT_EQ(logged.text(), "");
}

TEST_F(MetricsJournalTest, GivesBackTheTimesOfRanks) {
  MetricsFile file = open();
  file.append(rank_row_of(10, 2));
  file.append(rank_row_of(20, 2));
  file.write();
  file.append(rank_row_of(30, 2));
  file.truncate_after(25);  // all tables end at the same step, whichever has later rows
  file.append(rank_row_of(40, 4097));
  file.append(rank_row(50, rank_row_of(50, 4097).ranks));
  file.journal();
  const MetricsFile again = open();
  EXPECT_TRUE(again.ranks() ==
              (std::vector<RankRow>{rank_row_of(10, 2), rank_row_of(20, 2), rank_row_of(40, 4097),
                                    rank_row(50, rank_row_of(50, 4097).ranks)}));
  EXPECT_EQ(logged.text(), "");
}

TEST_F(MetricsJournalTest, GivesBackTheNormsOfArrays) {
  MetricsFile file = open();
  file.append(array_row(10));
  file.append(array_row(20));
  file.write();
  file.append(array_row(30));
  file.truncate_after(25);
  file.append(array_row(40));
  file.journal();
  EXPECT_EQ(open().arrays(), (std::vector<ArrayRow>{array_row(10), array_row(20), array_row(40)}));
  EXPECT_EQ(logged.text(), "");
}

// After a bad start, a run of days has a journal as long as this. The time of reading it must be proportional
// to its length.
TEST_F(MetricsJournalTest, TakesTimeInProportionToItsRows) {
  constexpr std::int64_t rows = 300'000;
  {
    MetricsFile file = open();
    append(file, 1, rows);
    file.journal();
  }
  EXPECT_EQ(open().train().size(), rows);  // a test has two minutes
}

TEST_F(MetricsJournalTest, IsThereOnlyWhileItHasRows) {
  MetricsFile file = open();
  file.journal();
  EXPECT_FALSE(fs::exists(journal));
  append(file, 1, 2);
  file.journal();
  EXPECT_TRUE(content(journal).starts_with("fcmnist_mpi journal format_version 5 classes 3\n"));
  file.sync_journal();
  file.write();
  EXPECT_FALSE(fs::exists(journal));
  file.sync_journal();
  EXPECT_EQ(names_in(directory.path()), std::vector<std::string>{"metrics.h5"});
}

/// A record as the releases with 13 columns wrote it.
std::string with_13_columns(std::string record) {
  record.resize(16 + 13 * 8);
  const std::uint32_t payload_bytes = 13 * 8;
  std::memcpy(record.data(), &payload_bytes, sizeof payload_bytes);
  const std::string digest = sha256_hex(std::as_bytes(std::span(record)));
  for (int i = 0; i < 8; ++i) record += static_cast<char>(std::stoi(digest.substr(2 * i, 2), nullptr, 16));
  return record;
}

TEST_F(MetricsJournalTest, RowsOfEarlierReleasesHaveZerosInLaterColumns) {
  MetricsFile file = open();
  append(file, 1, 1);
  file.journal();
  const std::string written = content(journal);
  const std::size_t header = written.find('\n') + 1;
  put(journal, written.substr(0, header) + with_13_columns(written.substr(header)));
  TrainRow expected = train_row(1);
  expected.bubble_fraction = expected.loss_scale = 0.0;
  expected.stage_busy_s.clear();
  expected.grad_norm_by_array.clear();
  MetricsFile again = open();
  EXPECT_TRUE(again.train() == std::vector<TrainRow>{expected});
  EXPECT_EQ(logged.text(), "");
  append(again, 2, 2);
  again.journal();
  EXPECT_TRUE(open().train() == (std::vector<TrainRow>{expected, train_row(2)}));
}

/// They have no predictions and no norms of arrays, and are otherwise as they are now.
TEST_F(MetricsJournalTest, JournalsOfVersion1AreRead) {
  EvalRow evaluation = eval_row(1, classes);
  evaluation.predicted.clear();
  TrainRow trained = train_row(1);
  trained.grad_norm_by_array.clear();
  MetricsFile file = open();
  file.append(trained);
  file.append(evaluation);
  file.journal();
  std::string old = content(journal);
  const std::string_view version = "format_version 5";
  put(journal, old.replace(old.find(version), version.size(), "format_version 1"));
  MetricsFile again = open();
  EXPECT_TRUE(again.train() == std::vector<TrainRow>{trained});
  EXPECT_TRUE(again.eval() == std::vector<EvalRow>{evaluation});
  append(again, 2, 3);
  again.journal();
  EXPECT_TRUE(content(journal).starts_with("fcmnist_mpi journal format_version 5 "));
  EXPECT_TRUE(open().train() == (std::vector<TrainRow>{trained, train_row(2), train_row(3)}));
  EXPECT_EQ(logged.text(), "");
}

/// A record of kind 4, as it was before version 5: seven times of each rank.
std::string old_rank_record(std::int64_t number, std::int64_t step, const std::vector<float>& times) {
  std::string record;
  const auto put_number = [&record](auto value) {
    record.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  put_number(static_cast<std::uint32_t>(16 + 4 * times.size()));
  put_number(std::uint32_t{4});
  put_number(number);
  put_number(step);
  put_number(std::int64_t{0});
  for (const float time : times) put_number(time);
  const std::string check = sha256_hex(std::as_bytes(std::span(record)));
  for (std::size_t i = 0; i < 16; i += 2)
    record += static_cast<char>(std::stoi(check.substr(i, 2), nullptr, 16));
  return record;
}

TEST_F(MetricsJournalTest, TimesOfRanksFromBeforeVersion5LackTheExposedTime) {
  put(journal, "fcmnist_mpi journal format_version 4 classes 3\n" +
                   old_rank_record(1, 10, {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14, 15, 16, 17}));
  MetricsFile file = open();
  const auto expect_old = [](const RankRow& row) {
    ASSERT_EQ(row.ranks.size(), 2U);
    EXPECT_EQ(row.ranks[0].compute_s, 1.0F);
    EXPECT_EQ(row.ranks[1].files_s, 17.0F);
    EXPECT_TRUE(std::isnan(row.ranks[1].exposed_s));
  };
  ASSERT_EQ(file.ranks().size(), 1U);
  expect_old(file.ranks()[0]);
  file.append(rank_row_of(20, 2));
  file.journal();  // behind the old row
  const MetricsFile again = open();
  ASSERT_EQ(again.ranks().size(), 2U);
  expect_old(again.ranks()[0]);
  EXPECT_EQ(again.ranks()[1], rank_row_of(20, 2));
  EXPECT_EQ(logged.text(), "");
}

TEST_F(MetricsJournalTest, HasValidationsAndScoresOfTrainedWeightsToo) {
  EvalRow row = eval_row(10, classes);
  row.predicted.clear();
  {
    MetricsFile file = open();
    file.append(ValidationRow{row});
    file.append(TrainedRow{row});
    file.write();
    row.step = 20;
    file.append(ValidationRow{row});
    row.step = 30;
    file.append(TrainedRow{row});
    file.journal();
  }
  MetricsFile again = open();
  ASSERT_EQ(again.validation().size(), 2U);
  ASSERT_EQ(again.eval_trained().size(), 2U);
  EXPECT_EQ(again.validation()[0].step, 10);
  EXPECT_TRUE(again.eval_trained()[1] == row);
  row.step = 20;
  EXPECT_TRUE(again.validation()[1] == row);
  EXPECT_TRUE(again.eval().empty());
  again.truncate_after(20);
  again.journal();
  EXPECT_EQ(open().validation().size(), 2U);
  EXPECT_EQ(open().eval_trained().size(), 1U);
}

TEST_F(MetricsJournalTest, KeepsWhatCameWhileTheImageWasWritten) {
  MetricsFile file = open();
  append(file, 1, 10);
  file.journal();
  MetricsImage image = file.image();
  append(file, 11, 12);
  file.journal();
  append(file, 13, 14);
  write_sealed(path, FileKind::metrics, image.bytes);
  file.image_is_durable(image);
  EXPECT_TRUE(open().train() == train_rows(1, 14));
  append(file, 15, 16);
  file.journal();
  EXPECT_TRUE(open().train() == train_rows(1, 16));
}

/// Copies of the directory as kill -9 would leave it, after each operation of a run and its resumes.
TEST_F(MetricsJournalTest, ADeathBetweenAnyTwoOperationsLosesNothingAndRepeatsNothing) {
  struct Life {
    MetricsFile file;
    MetricsImage image;
  };
  long journaled = 0;  // last step that must be there
  const auto check = [&](const char* after) {
    const TemporaryDirectory copy;
    fs::copy(directory.path(), copy.path(), fs::copy_options::recursive);
    const MetricsFile found = MetricsFile::open_or_create(copy / "metrics.h5", classes, "", {}, log);
    EXPECT_TRUE(found.train() == train_rows(1, journaled)) << after << " " << journaled;
    // A death in mid-resume is followed by the same resume.
    MetricsFile resumed = MetricsFile::open_or_create(copy / "metrics.h5", classes, "", {}, log);
    const long step = std::min(journaled, 5L);
    resumed.truncate_after(step);
    resumed.write();
    const MetricsFile again = MetricsFile::open_or_create(copy / "metrics.h5", classes, "", {}, log);
    EXPECT_TRUE(again.train() == train_rows(1, step)) << after;
    EXPECT_EQ(names_in(copy.path()), std::vector<std::string>{"metrics.h5"});
  };
  for (long step = 0; step < 40; step += 4) {  // lives; each goes back by two steps and then does six
    Life life{open(), {}};
    life.file.truncate_after(step);
    check("truncate_after");
    life.image = life.file.image();
    write_sealed(path, FileKind::metrics, life.image.bytes);
    journaled = step;
    check("write_sealed at the start");
    life.file.image_is_durable(life.image);
    check("image_is_durable at the start");
    append(life.file, step + 1, step + 3);
    life.file.journal();
    journaled = step + 3;
    check("journal");
    life.image = life.file.image();
    append(life.file, step + 4, step + 5);
    life.file.journal();
    journaled = step + 5;
    check("journal during the image");
    write_sealed(path, FileKind::metrics, life.image.bytes);
    check("write_sealed");
    life.file.image_is_durable(life.image);
    check("image_is_durable");
    append(life.file, step + 6, step + 6);
    life.file.journal();
    journaled = step + 6;
    check("journal after it");
  }
  EXPECT_EQ(logged.text(), "");
}

TEST_F(MetricsJournalTest, AResumeThatCouldNotWriteTheFileForgetsLaterRowsAllTheSame) {
  {
    MetricsFile file = open();
    append(file, 1, 10);
    file.append(eval_row(5, classes));
    file.append(eval_row(10, classes));
    file.write();
  }
  {
    MetricsFile file = open();
    file.truncate_after(7);  // write() fails, say; the run goes on
    append(file, 8, 8);
    file.journal();
  }
  const MetricsFile again = open();
  EXPECT_TRUE(again.train() == train_rows(1, 8));
  EXPECT_TRUE(again.eval() == std::vector<EvalRow>{eval_row(5, classes)});
}

TEST_F(MetricsJournalTest, RowsOfTheFileThatNeverCameIntoTheJournalStay) {
  MetricsFile file = open();
  append(file, 1, 5);
  file.journal();
  append(file, 6, 9);  // journal() fails, say
  MetricsImage image = file.image();
  write_sealed(path, FileKind::metrics, image.bytes);  // death before the journal is cut
  EXPECT_TRUE(open().train() == train_rows(1, 9));
}

TEST_F(MetricsJournalTest, ARepeatedEvaluationReplacesTheLast) {
  MetricsFile file = open();
  file.append(eval_row(5, classes));
  file.write();
  EvalRow row = eval_row(5, classes);
  row.accuracy = 0.75;
  file.append(row);
  file.journal();
  EXPECT_TRUE(open().eval() == std::vector<EvalRow>{row});
}

TEST_F(MetricsJournalTest, IsWorthSomethingWithoutItsFile) {
  MetricsFile file = open();
  append(file, 1, 5);
  file.write();
  append(file, 6, 9);
  file.journal();
  put(path, "damaged");
  EXPECT_TRUE(open().train() == train_rows(6, 9));
  EXPECT_TRUE(contains(logged.text(), "it is now called metrics.h5.damaged-1"));
}

TEST_F(MetricsJournalTest, AJournalThatWasNotCutInTimeIsBegunAnew) {
  {
    MetricsFile file = open();
    append(file, 1, 5);
    file.journal();
    append(file, 6, 9);
    MetricsImage image = file.image();
    write_sealed(path, FileKind::metrics, image.bytes);
  }
  MetricsFile file = open();
  append(file, 10, 11);
  file.journal();
  EXPECT_TRUE(open().train() == train_rows(1, 11));
  EXPECT_EQ(logged.text(), "");
}

TEST_F(MetricsJournalTest, AFullDiskIsAnErrorAndTheSameRowsAreTriedAgain) {
  MetricsFile file = open();
  append(file, 1, 5);
  file.journal();
  const std::string before = content(journal);
  append(file, 6, 200);
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{before.size() + 1000, old.rlim_max};  // some rows fit, and half of one
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = message_of<StoreError>([&] { file.journal(); });
  const std::string after = content(journal);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_TRUE(contains(message, "metrics.journal: File too large\n  HINT"));
  EXPECT_EQ(after, before);
  EXPECT_TRUE(open().train() == train_rows(1, 5));
  append(file, 201, 202);
  file.journal();
  EXPECT_TRUE(open().train() == train_rows(1, 202));
}

TEST_F(MetricsJournalTest, CanBeSyncedByAnotherThreadAtTheSameTime) {
  MetricsFile file = open();
  std::atomic<bool> done = false;
  std::thread other([&] {
    while (!done) file.sync_journal();
  });
  for (long step = 1; step <= 200; ++step) {
    append(file, step, step);
    file.journal();
    if (step % 20 == 0) file.image_is_durable(file.image());  // the file itself is not of interest here
  }
  done = true;
  other.join();
  EXPECT_FALSE(fs::exists(journal));
}

/// What a process has journaled when it is killed is there; so with it a run as a whole, killed at random.
TEST_F(MetricsJournalTest, AKilledProcessLosesNothingThatItJournaled) {
  int report[2];
  ASSERT_EQ(::pipe(report), 0);
  for (int round = 0; round < 8; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      MetricsFile file = open();
      file.write();
      for (long step = file.train().empty() ? 1 : file.train().back().step + 1;; ++step) {
        append(file, step, step);
        file.journal();
        if (::write(report[1], &step, sizeof step) != sizeof step) ::_exit(1);
        if (step % 7 == 0) file.write();
      }
    }
    long told = 0;
    for (int i = 0; i < 20 + 3 * round; ++i) ASSERT_EQ(::read(report[0], &told, sizeof told), sizeof told);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ASSERT_EQ(::fcntl(report[0], F_SETFL, O_NONBLOCK), 0);
    while (::read(report[0], &told, sizeof told) == sizeof told) {
    }
    ASSERT_EQ(::fcntl(report[0], F_SETFL, 0), 0);
    const MetricsFile found = open();
    ASSERT_GE(found.train().size(), static_cast<std::size_t>(told));
    EXPECT_TRUE(found.train() == train_rows(1, found.train().back().step));
  }
  ::close(report[0]);
  ::close(report[1]);
}

/// A journal of 40 rows behind a file of 10, and damaged copies of it.
struct DamagedJournal : MetricsJournalTest {
  std::string good;
  std::vector<std::size_t> ends;  // of the records

  DamagedJournal() {
    MetricsFile file = open();
    append(file, 1, 10);
    file.write();
    for (long step = 11; step <= 50; ++step) {
      append(file, step, step);
      file.journal();
      ends.push_back(content(journal).size());
    }
    good = content(journal);
  }
  /// Rows that a journal must give whose first damaged byte is `at`.
  std::vector<TrainRow> rows_before(std::size_t at) const {
    const auto intact = std::upper_bound(ends.begin(), ends.end(), at) - ends.begin();
    return train_rows(1, 10 + (at < good.find('\n') + 1 ? 0 : intact));
  }
  void expect_rows_before(std::size_t at, const std::string& bytes) {
    for (const std::string& name : names_in(directory.path())) {
      if (name.find("damaged") != std::string::npos) fs::remove(directory / name);
    }
    put(journal, bytes);
    MetricsFile file = open();
    ASSERT_TRUE(file.train() == rows_before(at)) << "damaged at " << at << " of " << good.size();
    // The rest of the damaged records must not come back behind new ones.
    const long last = file.train().back().step;
    append(file, last + 1, last + 1);
    file.journal();
    ASSERT_TRUE(open().train() == train_rows(1, last + 1)) << "appended after damage at " << at;
  }
};

TEST_F(DamagedJournal, AnyFlippedBitEndsItThere) {
  const CounterRng rng(7, Purpose::fake_data, 0, 0);
  for (std::uint32_t i = 0; i < 400; ++i) {
    const std::size_t at = i < 200 ? i : rng.below(static_cast<std::uint32_t>(good.size()), i);
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << i % 8));
    expect_rows_before(at, bytes);
  }
  EXPECT_TRUE(contains(logged.text(), "are torn or damaged; what is before them is used"));
  EXPECT_TRUE(
      contains(logged.text(), "not a journal of this run; it is now called metrics.journal.damaged-1"));
}

TEST_F(DamagedJournal, AnyCutEndsItThere) {
  for (std::size_t length = 0; length < good.size(); length += length < 400 ? 1 : 37) {
    expect_rows_before(length, good.substr(0, length));
  }
  for (const std::size_t end : ends) expect_rows_before(end, good.substr(0, end));
}

TEST_F(DamagedJournal, GrowthZeroesAndMovedRecordsEndItThere) {
  expect_rows_before(good.size(), good + std::string(1000, '\0'));
  expect_rows_before(good.size(), good + good);
  expect_rows_before(good.size(), good + good.substr(ends[3]));
  const std::size_t size = ends[1] - ends[0];
  for (std::size_t i = 0; i + 2 < ends.size(); i += 5) {
    std::string swapped = good, zeroed = good;
    std::swap_ranges(swapped.begin() + static_cast<long>(ends[i]),
                     swapped.begin() + static_cast<long>(ends[i + 1]),
                     swapped.begin() + static_cast<long>(ends[i + 1]));
    expect_rows_before(ends[i], swapped);
    std::fill_n(zeroed.begin() + static_cast<long>(ends[i]), size, '\0');
    expect_rows_before(ends[i], zeroed);
  }
}

TEST_F(DamagedJournal, WhatIsNoJournalOfThisRunIsSetAside) {
  for (const std::string& bytes : {std::string("notes\n"), std::string(5000, '\0'), content(path)}) {
    put(journal, bytes);
    EXPECT_TRUE(open().train() == train_rows(1, 10));
    EXPECT_FALSE(fs::exists(journal));
  }
  EXPECT_EQ(content(journal.string() + ".damaged-1"), "notes\n");
  put(journal, good);
  EXPECT_EQ(open(4).train().size(), 0U);
  EXPECT_EQ(content(journal.string() + ".damaged-4"), good);
}

TEST_F(DamagedJournal, WhatCannotBeReadIsAnErrorWithItsCause) {
  fs::remove(journal);
  fs::create_directory(journal);
  EXPECT_TRUE(contains(message_of<StoreError>([&] { open(); }), "metrics.journal: found a directory"));
  fs::remove(journal);
  ASSERT_EQ(::mkfifo(journal.c_str(), 0600), 0);
  EXPECT_TRUE(
      contains(message_of<StoreError>([&] { open(); }), "metrics.journal: found a directory or a device"));
}

}  // namespace
}  // namespace fcmnist::store

#include "data/fetch.hpp"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/fetch_fixture.hpp"

namespace fcmnist::data {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture and its file names

TEST_F(FetchTest, FetchesAllFilesIntoADirectoryThatItMakes) {
  fetch_from({"good"});
  expect_complete(data_dir_);
  EXPECT_EQ(read_shape(locate(options_)), (DatasetShape{40, 28, 28}));
  expect_contains(log(),
                  {"train_input: fetching TinyMNIST into " + data_dir_.string() + ", which did not exist",
                   "info: fetching http://127.0.0.1:", train_images + ".gz", "SHA-256 verified"});
}

TEST_F(FetchTest, AsksNobodyWhenTheFilesAreThere) {
  fetch_from({"good"});
  const std::string before = requests();
  fetch_from({"good"});
  options_.split = Split::test;
  fetch_from({"good"});
  EXPECT_EQ(requests(), before);
}

TEST_F(FetchTest, FakeDataNeedNoFiles) {
  options_.use_fake_data = true;
  fetch({});
  EXPECT_FALSE(fs::exists(data_dir_));
}

TEST_F(FetchTest, FollowsRedirectsAndReadsFileMirrors) {
  fetch_from({"redirect"});
  expect_complete(data_dir_);
  fs::remove(data_dir_ / (train_labels + ".gz"));
  fetch({"file://" + served_.path().string() + "/"});
  expect_complete(data_dir_);
}

struct BadMirror {
  std::string way;
  std::string reason;  ///< part of the warning
};

class BadMirrorTest : public FetchTest, public ::testing::WithParamInterface<BadMirror> {};

TEST_P(BadMirrorTest, IsLeftForTheNextOneWithAWarning) {
  fetch_from({GetParam().way, "good"});
  expect_complete(data_dir_);
  expect_contains(log(), {"warning: " + server().mirror(GetParam().way) + ": ", GetParam().reason});
  // Once it has failed it is not asked for the other files.
  EXPECT_EQ(requests().find("/" + GetParam().way + "/" + test_labels), std::string::npos);
}

TEST_P(BadMirrorTest, AloneIsOneErrorWithItsReason) {
  const std::string message = error_of([&] { fetch_from({GetParam().way}); });
  expect_contains(message, {"cannot fetch " + train_images + ".gz", data_dir_.string(),
                            server().mirror(GetParam().way) + ": ", GetParam().reason});
  EXPECT_EQ(message.find(".part"), std::string::npos)
      << "the temporary file is nobody's business: " << message;
  expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(Ways, BadMirrorTest,
                         ::testing::Values(BadMirror{"missing", "404"}, BadMirror{"broken", "500"},
                                           BadMirror{"truncated", "bytes remaining"},
                                           BadMirror{"cut", "unexpected end of file"},
                                           BadMirror{"wrong", "SHA-256 of the uncompressed content is"},
                                           BadMirror{"stalled", "too slow"}, BadMirror{"loop", "redirects"},
                                           BadMirror{"escape", "not supported or disabled"},
                                           BadMirror{"huge", "longer than 1048576 bytes"},
                                           BadMirror{"endless", "longer than 1048576 bytes"}),
                         [](const auto& mirror) { return mirror.param.way; });

/// A port on which nobody listens: bound by us, so that nobody else does.
class DeadPort {
 public:
  DeadPort() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
  }
  ~DeadPort() { close(socket_); }
  [[nodiscard]] std::string mirror() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  int socket_;
  int port_ = 0;
};

TEST_F(FetchTest, WhenAllMirrorsFailOneErrorListsThemAndTheWaysOut) {
  const DeadPort dead;
  const std::string message = error_of([&] {
    fetch({dead.mirror(), server().mirror("missing"), "ftp://127.0.0.1/mnist", "no address"});
  });
  expect_contains(message, {dead.mirror() + ": Failed to connect", server().mirror("missing") + ": ", "404",
                            "ftp://127.0.0.1/mnist: ", "not supported", "no address: ", "HINT: ",
                            "dataset-fashion-mnist", "train_input.data_dir /usr/share/datasets/fashion-mnist",
                            "-m prepare_data", train_images + ".gz", "by hand"});
  expect_nothing_left();
  expect_contains(error_of([&] { fetch({}); }), {"the list of mirrors is empty"});
}

TEST_F(FetchTest, GzipBombsAreNotUnpacked) {
  limits_.max_content_bytes = 10'000;  // below the 40 x 784 bytes of the images
  expect_contains(error_of([&] { fetch_from({"good"}); }), {"more than 10000 bytes"});
  expect_nothing_left();
}

TEST_F(FetchTest, FetchesOnlyWhatIsMissingBesideFilesOfTheSet) {
  for (const char* place : {"", "MNIST/raw"}) {
    const fs::path directory = data_dir_ / place;
    fs::remove_all(data_dir_);
    fs::create_directories(directory);
    fs::copy_file(served_ / (train_images + ".gz"), directory / (train_images + ".gz"));
    fs::remove(request_log_);
    fetch_from({"good"});
    expect_complete(directory);
    EXPECT_EQ(requests().find(train_images), std::string::npos);
  }
}

TEST_F(FetchTest, NeverMixesSets) {
  // A file of the same name, and one of another name: either is somebody's own data.
  for (const std::string& name :
       {train_labels, std::string("emnist-train-images-idx3-ubyte"), std::string("a-test-labels-idx2-int")}) {
    fs::remove_all(data_dir_);
    write_file(data_dir_ / name, labels_file(7));
    expect_contains(error_of([&] { fetch_from({"good"}); }),
                    {(data_dir_ / name).string(), "content", "TinyMNIST", "HINT: sets are never mixed"});
    EXPECT_EQ(names_in(data_dir_), std::vector<std::string>{name});
  }
}

TEST_F(FetchTest, FetchesNothingBesideWhatTheUserHasNamed) {
  for (const char* name : {"mnist.npz", "notes/a", "MNIST/raw/readme", "train-images-idx3-ubyte (1)",
                           "t10k-images-idx3-ubyte.zip", "KMNIST/processed/training.pt"}) {
    fs::remove_all(data_dir_);
    write_file(data_dir_ / name, {0});
    const std::string first = *fs::path(name).begin();
    expect_contains(error_of([&] { fetch_from({"good"}); }),
                    {"no images for train_input", data_dir_.string() + " holds " + first, "absent or empty"});
    EXPECT_EQ(std::distance(fs::directory_iterator(data_dir_), {}), 1) << name;
  }
  EXPECT_EQ(requests(), "");
}

TEST_F(FetchTest, HiddenFilesLeaveADirectoryEmpty) {
  write_file(data_dir_ / ".gitkeep", {});
  fetch_from({"good"});
  EXPECT_TRUE(try_locate(options_));
}

TEST_F(FetchTest, ADirectoryThatWasThereStaysWhenNothingCanBeFetched) {
  fs::create_directories(data_dir_);
  error_of([&] { fetch_from({"missing"}); });
  EXPECT_TRUE(fs::is_empty(data_dir_));
}

TEST_F(FetchTest, WithoutDownloadSaysWhatIsMissingWhere) {
  options_.download = false;
  expect_contains(error_of([&] { fetch_from({"good"}); }), {data_dir_.string(), train_images, "HINT: "});
  EXPECT_FALSE(fs::exists(data_dir_));
  EXPECT_EQ(requests(), "");
}

TEST_F(FetchTest, SaysThatDataDirCannotBeMade) {
  write_file(scratch_ / "data", {0});  // a file where the directory should be
  expect_contains(error_of([&] { fetch_from({"good"}); }), {data_dir_.string(), "Not a directory", "HINT: "});
}

TEST_F(FetchTest, SaysThatDataDirCannotBeWritten) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  fs::create_directories(data_dir_);
  fs::permissions(data_dir_, fs::perms::owner_read | fs::perms::owner_exec);
  expect_contains(error_of([&] { fetch({"file:///nowhere"}); }),
                  {data_dir_.string(), "Permission denied", "HINT: "});
  options_.data_dir = (data_dir_ / "below").string();
  expect_contains(error_of([&] { fetch({"file:///nowhere"}); }),
                  {"cannot create data_dir", "Permission denied", "HINT: "});
  fs::permissions(data_dir_, fs::perms::owner_all);
}

TEST_F(FetchTest, RemovesWhatAKilledRunLeftAndObeysUmask) {
  write_file(data_dir_ / ("." + train_images + ".gz.tmp.somewhere.4711"), {1, 2, 3});
  const mode_t before = umask(027);
  fetch_from({"good"});
  umask(before);
  expect_complete(data_dir_);
  EXPECT_EQ(fs::status(data_dir_ / (train_images + ".gz")).permissions(), fs::perms{0640});
}

TEST_F(FetchTest, TwoProcessesAtOnceFetchEveryFileOnce) {
  server();
  const pid_t first = in_child([&] { fetch_from({"good"}); });
  const pid_t second = in_child([&] { fetch_from({"good"}); });
  EXPECT_EQ(exit_code_of(first), 0);
  EXPECT_EQ(exit_code_of(second), 0);
  expect_complete(data_dir_);
  const std::string lines = requests();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 4) << lines;
}

TEST_F(FetchTest, WaitsForALockAndOutlivesItsHolder) {
  server();
  const pid_t holder = start_lock_holder();
  const pid_t waiting = in_child([&] { fetch_from({"good"}); });
  wait_until_log_has("waiting for another process");
  EXPECT_EQ(requests(), "") << "nothing is asked for without the lock";
  kill(holder, SIGKILL);
  EXPECT_EQ(exit_code_of(holder), -1);
  EXPECT_EQ(exit_code_of(waiting), 0);
  expect_complete(data_dir_);
}

TEST_F(FetchTest, LogsProgressOfALongTransfer) {
  limits_.log_interval_s = 0;
  fetch_from({"good"});
  expect_contains(log(), {" MiB after 0 s"});
}

}  // namespace
}  // namespace fcmnist::data

#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace fcmnist {

/// The exit codes of the program, as documented in src/run/README.md.
enum class ExitCode : int {
  done = 0,
  usage = 2,          ///< the command line or the configuration is wrong
  data = 3,           ///< data files are missing, damaged or unsuitable
  storage = 4,        ///< checkpoints, metrics or the model_dir cannot be read or written
  communication = 5,  ///< a rank stalled, replicas differ, out of (shared) memory, a library hangs
  diverged = 6,       ///< loss, gradient or weights are not finite
  in_use = 7,         ///< another run works in the model_dir
  stopped = 75,       ///< the run stopped early, with a checkpoint to resume from (EX_TEMPFAIL of sysexits.h)
};

/// An error that a user or the environment caused: what, where, found against expected, and a HINT.
///
/// `agreed()` is true when every rank throws the same error (see comm::collectively): such an error is
/// printed once and the program ends in order. Any other error ends the world, so that nobody waits for this
/// rank.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, std::string_view what, std::string_view hint = {});

  [[nodiscard]] ExitCode code() const { return code_; }
  [[nodiscard]] bool agreed() const { return agreed_; }

  /// The same error, known to be thrown by every rank.
  [[nodiscard]] Error as_agreed() const;

 private:
  ExitCode code_;
  bool agreed_ = false;
};

struct UsageError : Error {
  explicit UsageError(std::string_view what, std::string_view hint = {})
      : Error(ExitCode::usage, what, hint) {}
};
struct DataError : Error {
  explicit DataError(std::string_view what, std::string_view hint = {}) : Error(ExitCode::data, what, hint) {}
};
struct StoreError : Error {
  explicit StoreError(std::string_view what, std::string_view hint = {})
      : Error(ExitCode::storage, what, hint) {}
};
struct CommError : Error {
  explicit CommError(std::string_view what, std::string_view hint = {})
      : Error(ExitCode::communication, what, hint) {}
};
struct InUseError : Error {
  explicit InUseError(std::string_view what, std::string_view hint = {})
      : Error(ExitCode::in_use, what, hint) {}
};
struct DivergedError : Error {
  explicit DivergedError(std::string_view what, std::string_view hint = {})
      : Error(ExitCode::diverged, what, hint) {}
};

/// "<call> <path>: <text of errno>", for messages about a failed system call.
std::string errno_message(std::string_view call, std::string_view path, int error_number);

/// Prints file, line, condition and values, and aborts: a broken invariant is a defect of the program, not of
/// its input.
[[noreturn]] void invariant_failed(const char* file, int line, const char* condition,
                                   const std::string& values);

}  // namespace fcmnist

/// Checks a contract, also in release builds. `values` (a string) says what was found.
#define FCMNIST_CHECK(condition, values)                                     \
  do {                                                                       \
    if (!(condition)) [[unlikely]]                                           \
      ::fcmnist::invariant_failed(__FILE__, __LINE__, #condition, (values)); \
  } while (false)

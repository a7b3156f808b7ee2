#pragma once

#include <string>

namespace fcmnist {

/// Seconds that a call may take.
struct Patience {
  double seconds = 0.0;
  double hurried_seconds = 0.0;  ///< the same after HangWatch::begin(true)
};

/// Watches calls of libraries that may never return, such as a product of matrices for which there is no memory.
/// When a call lasts longer than its patience, this prints an error and ends the process with exit code 5. The
/// other ranks are ended by the launcher.
///
/// It is a timer and a signal handler (SIGALRM), since a process that gets no memory gets no thread either. It
/// ticks once a second. Ticks that were missed do not count, so that a job that was suspended goes on.
///
/// One object at a time in a process.
class HangWatch {
 public:
  /// From here to the destructor is one call.
  ///   error  what is printed; must outlive the object
  HangWatch(const std::string& error, Patience patience);
  ~HangWatch();
  HangWatch(const HangWatch&) = delete;
  HangWatch& operator=(const HangWatch&) = delete;

  /// From here on calls are watched, the one under way too. A signal handler may call it.
  static void begin(bool hurry) noexcept;
  /// From here on they are not.
  static void end() noexcept;
};

}  // namespace fcmnist

#include "comm/shared_window.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "comm/blocking_call.hpp"
#include "comm/mpi_handle.hpp"
#include "core/error.hpp"
#include "core/memory_limits.hpp"
#include "core/text.hpp"

namespace fcmnist::comm {

struct SharedWindow::Handle {
  const Communicator* node;
  MPI_Win window = MPI_WIN_NULL;
  std::vector<std::span<std::byte>> segments;
  explicit Handle(const Communicator& node_) : node(&node_) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (window == MPI_WIN_NULL || !can_still_free()) return;
    node->barrier_or_end_world();
    const BlockingCall watched(node->stall_watch());
    check_mpi_nothrow(MPI_Win_free(&window));
  }
};

namespace {

/// The bytes of a cache line. Open MPI puts a header of its own before a segment, so that the segment begins
/// within a cache line (with release 4.1.4 at byte 264 of a page).
constexpr std::size_t line_bytes = 64;

std::span<std::byte> from_the_next_line(std::byte* base, std::size_t bytes) {
  const std::size_t behind = reinterpret_cast<std::uintptr_t>(base) % line_bytes;
  return {base + (behind == 0 ? 0 : line_bytes - behind), bytes};
}

/// Throws CommError on all ranks if one of them cannot map a window to which this rank gives `my_bytes`. Open MPI 4.1
/// may crash then.
void check_address_space(const Communicator& node, std::int64_t my_bytes) {
  constexpr std::size_t besides = std::size_t{32} << 20;  // what Open MPI needs for itself
  std::int64_t total[] = {my_bytes};
  node.sum(total);
  const std::size_t bytes = static_cast<std::size_t>(total[0]) + besides;
  if (node.min(can_share(bytes) ? 1 : 0) == 1) return;
  throw out_of_memory(fmt::format("no address space for a shared window of {}", bytes_text(bytes)), bytes);
}

}  // namespace

SharedWindow::SharedWindow(const Communicator& node, std::size_t my_bytes)
    : handle_(std::make_unique<Handle>(node)) {
  const auto asked = static_cast<MPI_Aint>(my_bytes > 0 ? my_bytes + line_bytes : 0);
  check_address_space(node, asked);
  MPI_Info info = MPI_INFO_NULL;
  FCMNIST_MPI(MPI_Info_create(&info));
  FCMNIST_MPI(MPI_Info_set(info, "alloc_shared_noncontig", "true"));
  void* mine = nullptr;
  node.barrier();
  const int status = [&] {
    const BlockingCall watched(node.stall_watch());
    return MPI_Win_allocate_shared(asked, 1, info, node.handle().comm, &mine, &handle_->window);
  }();
  FCMNIST_MPI(MPI_Info_free(&info));
  if (status != MPI_SUCCESS) {
    throw CommError(
        fmt::format("MPI_Win_allocate_shared: no {} bytes of shared memory; {}", my_bytes,
                    memory_limits_text(my_bytes)),
        "is a limit too low (ulimit -v, ulimit -d), or /dev/shm full? Killed runs may have left files there");
  }
  for (int rank = 0; rank < node.size(); ++rank) {
    MPI_Aint bytes = 0;
    int unit = 0;
    void* base = nullptr;
    FCMNIST_MPI(MPI_Win_shared_query(handle_->window, rank, &bytes, &unit, &base));
    const std::size_t usable = bytes > 0 ? static_cast<std::size_t>(bytes) - line_bytes : 0;
    handle_->segments.push_back(from_the_next_line(static_cast<std::byte*>(base), usable));
  }
  // The owner touches its pages first, which places them on its NUMA node.
  const std::span<std::byte> own = segment(node.rank());
  if (!own.empty()) std::memset(own.data(), 0, own.size());
  node.barrier();
}

SharedWindow::~SharedWindow() = default;
SharedWindow::SharedWindow(SharedWindow&&) noexcept = default;
SharedWindow& SharedWindow::operator=(SharedWindow&&) noexcept = default;

std::span<std::byte> SharedWindow::segment(int node_rank) const {
  return handle_->segments[static_cast<std::size_t>(node_rank)];
}

}  // namespace fcmnist::comm

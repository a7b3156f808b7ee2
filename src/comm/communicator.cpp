#include "comm/communicator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <new>
#include <optional>
#include <system_error>

#include "comm/blocking_call.hpp"
#include "comm/mpi_handle.hpp"
#include "comm/polled_wait.hpp"
#include "core/error.hpp"
#include "core/memory_limits.hpp"

namespace fcmnist::comm {

namespace {

int to_int(std::size_t count) {
  FCMNIST_CHECK(count <= static_cast<std::size_t>(INT32_MAX), fmt::format("{}", count));
  return static_cast<int>(count);
}

std::unique_ptr<Communicator::Handle> owned_handle(MPI_Comm comm, StallWatch& watch) {
  FCMNIST_MPI(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN));
  return std::make_unique<Communicator::Handle>(comm, true, watch);
}

/// The memory that a collective call of MPI reads and writes until its request is done.
template <class T>
struct Buffers {
  std::vector<T> send, receive;
  MPI_Request request = MPI_REQUEST_NULL;
};

/// Begins a non-blocking collective call by start(buffers), and waits for its end. Returns what was received.
template <class T, class Start>
std::vector<T> complete_call(const Communicator& group, Buffers<T> given, Start start, double work_s = 0.0) {
  // When the wait throws, the call is still under way, and MPI may write to the buffers. In that case they
  // are never freed.
  auto* const buffers = new Buffers<T>(std::move(given));
  start(*buffers);
  constexpr int spins = 100;
  PolledWait(group.stall_watch(), spins, work_s).until([&] {
    int done = 0;
    FCMNIST_MPI(MPI_Test(&buffers->request, &done, MPI_STATUS_IGNORE));
    return done != 0;
  });
  return std::move(std::unique_ptr<Buffers<T>>(buffers)->receive);
}

/// Combines the arrays of all ranks, element by element.
template <class T>
std::vector<T> reduce_arrays(const Communicator& group, std::span<const T> numbers, MPI_Datatype type,
                             MPI_Op operation, double work_s = 0.0) {
  Buffers<T> buffers{{numbers.begin(), numbers.end()}, std::vector<T>(numbers.size())};
  return complete_call(
      group, std::move(buffers),
      [&](Buffers<T>& b) {
        FCMNIST_MPI(MPI_Iallreduce(b.send.data(), b.receive.data(), to_int(b.send.size()), type, operation,
                                   group.handle().comm, &b.request));
      },
      work_s);
}

/// The arrays of all ranks, one after the other in rank order. They have equal sizes.
template <class T>
std::vector<T> gather_arrays(const Communicator& group, std::span<const T> numbers, MPI_Datatype type) {
  Buffers<T> buffers{{numbers.begin(), numbers.end()},
                     std::vector<T>(numbers.size() * static_cast<std::size_t>(group.size()))};
  return complete_call(group, std::move(buffers), [&](Buffers<T>& b) {
    const int count = to_int(b.send.size());
    FCMNIST_MPI(MPI_Iallgather(b.send.data(), count, type, b.receive.data(), count, type, group.handle().comm,
                               &b.request));
  });
}

/// The array of the root, on every rank. The arrays of all ranks have the same size.
template <class T>
std::vector<T> broadcast_array(const Communicator& group, std::vector<T> numbers, MPI_Datatype type,
                               int root) {
  return complete_call(group, Buffers<T>{{}, std::move(numbers)}, [&](Buffers<T>& b) {
    FCMNIST_MPI(
        MPI_Ibcast(b.receive.data(), to_int(b.receive.size()), type, root, group.handle().comm, &b.request));
  });
}

/// How an array is divided among the ranks of a group.
struct Pieces {
  std::vector<int> counts, offsets;
  std::size_t total = 0;
};
Pieces pieces_of(const Communicator& group, std::size_t my_count) {
  Pieces pieces;
  for (const int count : group.all_gather(to_int(my_count))) {
    pieces.counts.push_back(count);
    pieces.offsets.push_back(to_int(pieces.total));
    pieces.total += static_cast<std::size_t>(count);
  }
  return pieces;
}

/// The arrays of all ranks, one after the other in rank order. Empty but on the root.
template <class T>
std::vector<T> gather_at_root(const Communicator& group, std::span<const T> mine, MPI_Datatype type,
                              int root) {
  const Pieces pieces = pieces_of(group, mine.size());
  Buffers<T> given{{mine.begin(), mine.end()}, std::vector<T>(group.rank() == root ? pieces.total : 0)};
  return complete_call(group, std::move(given), [&](Buffers<T>& b) {
    FCMNIST_MPI(MPI_Igatherv(b.send.data(), to_int(b.send.size()), type, b.receive.data(),
                             pieces.counts.data(), pieces.offsets.data(), type, root, group.handle().comm,
                             &b.request));
  });
}

}  // namespace

void check_mpi(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw CommError(fmt::format("{}: {}", std::string_view(call).substr(0, std::string_view(call).find('(')),
                              std::string_view(text, static_cast<std::size_t>(length))));
}

void check_mpi_nothrow(int status) noexcept { static_cast<void>(status); }

bool can_still_free() noexcept {
  int finalized = 0;
  MPI_Finalized(&finalized);
  return finalized == 0 && std::uncaught_exceptions() == 0;
}

Communicator::Handle::~Handle() {
  if (!owned || !can_still_free()) return;
  const BlockingCall watched(*watch);
  check_mpi_nothrow(MPI_Comm_free(&comm));
}

Communicator::Communicator(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {
  FCMNIST_MPI(MPI_Comm_rank(handle_->comm, &rank_));
  FCMNIST_MPI(MPI_Comm_size(handle_->comm, &size_));
}
Communicator::~Communicator() = default;
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;

StallWatch& Communicator::stall_watch() const { return *handle_->watch; }

Communicator Communicator::split(int color) const {
  barrier();
  MPI_Comm part = MPI_COMM_NULL;
  const BlockingCall watched(stall_watch());
  FCMNIST_MPI(MPI_Comm_split(handle_->comm, color, rank_, &part));
  return Communicator(owned_handle(part, stall_watch()));
}

Communicator Communicator::split_by_node() const {
  barrier();
  MPI_Comm part = MPI_COMM_NULL;
  const BlockingCall watched(stall_watch());
  FCMNIST_MPI(MPI_Comm_split_type(handle_->comm, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &part));
  return Communicator(owned_handle(part, stall_watch()));
}

void Communicator::barrier() const {
  complete_call(*this, Buffers<char>{},
                [&](Buffers<char>& b) { FCMNIST_MPI(MPI_Ibarrier(handle_->comm, &b.request)); });
}

void Communicator::barrier_or_end_world() const noexcept {
  try {
    barrier();
  } catch (const Error& error) {
    stall_watch().end_world(error);
  }
}

std::string Communicator::broadcast(std::string_view text, int root) const {
  const auto length = broadcast(static_cast<std::uint64_t>(text.size()), root);
  std::vector<char> characters(text.begin(), text.end());
  characters.resize(length);
  characters = broadcast_array(*this, std::move(characters), MPI_CHAR, root);
  return {characters.begin(), characters.end()};
}

void Communicator::broadcast(std::span<std::byte> bytes, int root) const {
  std::ranges::copy(broadcast_array<std::byte>(*this, {bytes.begin(), bytes.end()}, MPI_BYTE, root),
                    bytes.begin());
}

void Communicator::broadcast(std::span<float> numbers, int root) const {
  std::ranges::copy(broadcast_array<float>(*this, {numbers.begin(), numbers.end()}, MPI_FLOAT, root),
                    numbers.begin());
}

void Communicator::gather(std::span<const float> mine, std::span<float> all, int root) const {
  const std::vector<float> received = gather_at_root(*this, mine, MPI_FLOAT, root);
  FCMNIST_CHECK(all.size() == received.size(), fmt::format("{}, not {}", all.size(), received.size()));
  std::ranges::copy(received, all.begin());
}

std::vector<std::byte> Communicator::gather(std::span<const std::byte> mine, int root) const {
  return gather_at_root(*this, mine, MPI_BYTE, root);
}

void Communicator::scatter(std::span<const float> all, std::span<float> mine, int root) const {
  const Pieces pieces = pieces_of(*this, mine.size());
  const auto total = rank_ == root ? pieces.total : 0;
  FCMNIST_CHECK(all.size() == total, fmt::format("{}, not {}", all.size(), total));
  Buffers<float> given{{all.begin(), all.end()}, std::vector<float>(mine.size())};
  const auto received = complete_call(*this, std::move(given), [&](Buffers<float>& b) {
    FCMNIST_MPI(MPI_Iscatterv(b.send.data(), pieces.counts.data(), pieces.offsets.data(), MPI_FLOAT,
                              b.receive.data(), to_int(b.receive.size()), MPI_FLOAT, root, handle_->comm,
                              &b.request));
  });
  std::ranges::copy(received, mine.begin());
}

// MPI_Iallreduce may add in another order on each rank. Here every rank adds in rank order.
void Communicator::sum(std::span<double> numbers) const {
  const auto all = gather_arrays<double>(*this, numbers, MPI_DOUBLE);
  std::ranges::fill(numbers, 0.0);
  for (std::size_t i = 0; i < all.size(); ++i) numbers[i % numbers.size()] += all[i];
}

void Communicator::sum(std::span<std::int64_t> numbers) const {
  std::ranges::copy(reduce_arrays<std::int64_t>(*this, numbers, MPI_INT64_T, MPI_SUM), numbers.begin());
}

double Communicator::max(double number) const {
  return reduce_arrays<double>(*this, {&number, 1}, MPI_DOUBLE, MPI_MAX)[0];
}

std::int64_t Communicator::min(std::int64_t number, double work_s) const {
  return reduce_arrays<std::int64_t>(*this, {&number, 1}, MPI_INT64_T, MPI_MIN, work_s)[0];
}

std::vector<std::string> Communicator::all_gather(std::string_view text) const {
  const auto lengths = all_gather(static_cast<std::uint64_t>(text.size()));
  const auto longest = static_cast<std::size_t>(std::ranges::max(lengths));
  std::string padded(text);
  padded.resize(longest);
  const auto all = gather_arrays<char>(*this, padded, MPI_CHAR);
  std::vector<std::string> texts;
  for (std::size_t r = 0; r < lengths.size(); ++r) {
    texts.emplace_back(all.data() + r * longest, static_cast<std::size_t>(lengths[r]));
  }
  return texts;
}

void Communicator::all_gather_bytes(std::span<const std::byte> mine, std::span<std::byte> all) const {
  std::ranges::copy(gather_arrays<std::byte>(*this, mine, MPI_BYTE), all.begin());
}

void Communicator::gather_bytes(std::span<const std::byte> mine, std::span<std::byte> all, int root) const {
  Buffers<std::byte> given{{mine.begin(), mine.end()}, std::vector<std::byte>(all.size())};
  const auto received = complete_call(*this, std::move(given), [&](Buffers<std::byte>& b) {
    const int count = to_int(b.send.size());
    FCMNIST_MPI(MPI_Igather(b.send.data(), count, MPI_BYTE, b.receive.data(), count, MPI_BYTE, root,
                            handle().comm, &b.request));
  });
  std::ranges::copy(received, all.begin());
}

void collectively(const Communicator& group, const std::function<void()>& action, double work_s) {
  std::optional<Error> mine;
  try {
    if (action) action();
  } catch (const Error& error) {
    mine = error;
  } catch (const std::filesystem::filesystem_error& error) {
    mine = StoreError(error.what());
  } catch (const std::bad_alloc&) {
    mine = out_of_memory("out of memory");
  } catch (const std::system_error& error) {  // such as a thread that the system does not give
    mine = CommError(error.what());
  }
  const int nobody = group.size();
  const auto first = static_cast<int>(group.min(mine ? group.rank() : nobody, work_s));
  if (first == nobody) return;
  const bool here = first == group.rank();
  const ExitCode code = group.broadcast(here ? mine->code() : ExitCode{}, first);
  const std::string what = group.broadcast(here ? mine->what() : "", first);
  throw Error(code, what).as_agreed();
}

}  // namespace fcmnist::comm

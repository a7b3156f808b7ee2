#include "comm/communicator.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <new>
#include <numeric>
#include <optional>

#include "comm/mpi_handle.hpp"
#include "core/error.hpp"

namespace fcmnist::comm {

namespace {

int to_int(std::size_t count) {
  FCMNIST_CHECK(count <= static_cast<std::size_t>(INT32_MAX), fmt::format("{}", count));
  return static_cast<int>(count);
}

std::unique_ptr<Communicator::Handle> owned_handle(MPI_Comm comm) {
  FCMNIST_MPI(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN));
  return std::make_unique<Communicator::Handle>(comm, true);
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
  if (owned && can_still_free()) check_mpi_nothrow(MPI_Comm_free(&comm));
}

Communicator::Communicator(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {
  FCMNIST_MPI(MPI_Comm_rank(handle_->comm, &rank_));
  FCMNIST_MPI(MPI_Comm_size(handle_->comm, &size_));
}
Communicator::~Communicator() = default;
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;

Communicator Communicator::split(int color) const {
  MPI_Comm part = MPI_COMM_NULL;
  FCMNIST_MPI(MPI_Comm_split(handle_->comm, color, rank_, &part));
  return Communicator(owned_handle(part));
}

Communicator Communicator::split_by_node() const {
  MPI_Comm part = MPI_COMM_NULL;
  FCMNIST_MPI(MPI_Comm_split_type(handle_->comm, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &part));
  return Communicator(owned_handle(part));
}

void Communicator::barrier() const { FCMNIST_MPI(MPI_Barrier(handle_->comm)); }

std::string Communicator::broadcast(std::string_view text, int root) const {
  std::uint64_t length = text.size();
  FCMNIST_MPI(MPI_Bcast(&length, 1, MPI_UINT64_T, root, handle_->comm));
  std::string result = rank_ == root ? std::string(text) : std::string(length, '\0');
  FCMNIST_MPI(MPI_Bcast(result.data(), to_int(length), MPI_CHAR, root, handle_->comm));
  return result;
}

void Communicator::broadcast(std::span<float> numbers, int root) const {
  FCMNIST_MPI(MPI_Bcast(numbers.data(), to_int(numbers.size()), MPI_FLOAT, root, handle_->comm));
}

void Communicator::sum(std::span<double> numbers) const {
  FCMNIST_MPI(MPI_Allreduce(MPI_IN_PLACE, numbers.data(), to_int(numbers.size()), MPI_DOUBLE, MPI_SUM,
                            handle_->comm));
}

void Communicator::sum(std::span<std::int64_t> numbers) const {
  // NOLINTNEXTLINE(mpi-type-mismatch): int64_t is MPI_INT64_T, whatever type it stands for
  FCMNIST_MPI(MPI_Allreduce(MPI_IN_PLACE, numbers.data(), to_int(numbers.size()), MPI_INT64_T, MPI_SUM,
                            handle_->comm));
}

double Communicator::max(double number) const {
  double result = 0.0;
  FCMNIST_MPI(MPI_Allreduce(&number, &result, 1, MPI_DOUBLE, MPI_MAX, handle_->comm));
  return result;
}

std::int64_t Communicator::min(std::int64_t number) const {
  std::int64_t result = 0;
  FCMNIST_MPI(MPI_Allreduce(&number, &result, 1, MPI_INT64_T, MPI_MIN, handle_->comm));
  return result;
}

std::vector<std::string> Communicator::all_gather(std::string_view text) const {
  const int length = to_int(text.size());
  std::vector<int> lengths(static_cast<std::size_t>(size_)), begins(lengths.size());
  FCMNIST_MPI(MPI_Allgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, handle_->comm));
  std::exclusive_scan(lengths.begin(), lengths.end(), begins.begin(), 0);
  std::string all(static_cast<std::size_t>(begins.back() + lengths.back()), '\0');
  FCMNIST_MPI(MPI_Allgatherv(text.data(), length, MPI_CHAR, all.data(), lengths.data(), begins.data(),
                             MPI_CHAR, handle_->comm));
  std::vector<std::string> texts;
  for (std::size_t r = 0; r < lengths.size(); ++r) {
    texts.push_back(all.substr(static_cast<std::size_t>(begins[r]), static_cast<std::size_t>(lengths[r])));
  }
  return texts;
}

void Communicator::poll() const {
  int found = 0;
  FCMNIST_MPI(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, handle_->comm, &found, MPI_STATUS_IGNORE));
}

void collectively(const Communicator& group, const std::function<void()>& action) {
  std::optional<Error> mine;
  try {
    if (action) action();
  } catch (const Error& error) {
    mine = error;
  } catch (const std::filesystem::filesystem_error& error) {
    mine = StoreError(error.what());
  } catch (const std::bad_alloc&) {
    mine = CommError("out of memory");
  }
  const int nobody = group.size();
  const auto first = static_cast<int>(group.min(mine ? group.rank() : nobody));
  if (first == nobody) return;
  const bool here = first == group.rank();
  const std::string code = group.broadcast(here ? std::to_string(static_cast<int>(mine->code())) : "", first);
  const std::string what = group.broadcast(here ? mine->what() : "", first);
  throw Error(static_cast<ExitCode>(std::stoi(code)), what).as_agreed();
}

}  // namespace fcmnist::comm

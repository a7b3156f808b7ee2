#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "core/matrix_view.hpp"

/// The few things that this program does with HDF5. Every call is checked, and no type of the C library is
/// visible. Internal to `store`.
///
/// Files live in memory only (core driver without backing store): HDF5 never touches the file system, so it
/// needs no file locks (which NFS and Lustre may not have) and can never leave half a file behind.
namespace fcmnist::store::hdf5 {

/// The types of numbers in our files. All are little-endian.
enum class Type { float32, float64, uint8, int16, int32, int64, uint64 };

template <class T>
constexpr Type type_of() {
  if constexpr (std::is_same_v<T, float>) {
    return Type::float32;
  } else if constexpr (std::is_same_v<T, double>) {
    return Type::float64;
  } else if constexpr (std::is_same_v<T, std::uint8_t>) {
    return Type::uint8;
  } else if constexpr (std::is_same_v<T, std::int16_t>) {
    return Type::int16;
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    return Type::int32;
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return Type::int64;
  } else {
    static_assert(std::is_same_v<T, std::uint64_t>);
    return Type::uint64;
  }
}

using Shape = std::vector<std::size_t>;

/// "float32 500 x 784", as used in messages and returned by Group::describe.
std::string describe(Type type, const Shape& shape);

/// What an attribute may hold; strings are UTF-8 of any length.
using Attribute = std::variant<std::string, std::int64_t, std::uint64_t, double, std::vector<std::string>>;

/// An open HDF5 object. It is closed when its last copy goes.
class Handle {
 public:
  using Id = std::int64_t;
  using Close = int (*)(Id);
  Handle() = default;
  Handle(Id id, Close close);
  [[nodiscard]] Id id() const;

 private:
  struct Owner;
  std::shared_ptr<const Owner> owner_;
};

/// Numbers whose place in the file is fixed and that File::image() copies there.
struct Placed {
  std::size_t offset;  ///< byte in the file
  std::span<const std::byte> numbers;
  std::size_t transposed_rows =
      0;  ///< > 0: they are a matrix of float with so many rows, and the file has its transpose
};
using PlacedList = std::shared_ptr<std::vector<Placed>>;

/// A group of an open file. Every failure is a StoreError that names file and object.
class Group {
 public:
  Group(Handle file, Handle group, std::string file_name, std::string path, PlacedList placed);

  Group create_group(std::string_view name) const;
  [[nodiscard]] Group group(std::string_view name) const;
  /// "<file>: <path of this group>/<name>", which messages begin with.
  [[nodiscard]] std::string where(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;
  /// The sorted names of the groups and datasets directly in this group.
  [[nodiscard]] std::vector<std::string> names() const;

  /// Writes a dataset of fixed shape.
  template <class T>
  void write(std::string_view name, const Shape& shape, const T* data) const {
    write_dataset(name, type_of<T>(), shape, data, 0);
  }
  /// Writes a large dataset of a new file without the copies that HDF5 would make: HDF5 makes room for it,
  /// and File::image() copies the numbers there. They must stay until then.
  template <class T>
  void place(std::string_view name, const Shape& shape, std::span<const T> numbers) const {
    place_dataset(name, type_of<T>(), shape, std::as_bytes(numbers));
  }
  /// The same of the transpose of a matrix without gaps.
  void place_transposed(std::string_view name, MatrixView<const float> matrix) const;
  /// Writes a dataset that can grow along its first dimension. It is stored in chunks of `chunk_rows` rows, or
  /// of all rows if it has fewer.
  template <class T>
  void write_extendible(std::string_view name, const Shape& shape, const T* data,
                        std::size_t chunk_rows) const {
    write_dataset(name, type_of<T>(), shape, data, chunk_rows);
  }
  /// What has this name: "float32 500 x 784", "absent", "a group" and so on.
  [[nodiscard]] std::string describe(std::string_view name) const;
  /// The shape of a dataset.
  [[nodiscard]] Shape shape(std::string_view name) const;
  /// Reads a dataset that must have exactly this type and shape.
  template <class T>
  void read(std::string_view name, const Shape& shape, T* data) const {
    read_dataset(name, type_of<T>(), shape, data);
  }

  void set(std::string_view name, const Attribute& value) const;
  /// Sets an attribute of a dataset in this group.
  void set_on(std::string_view dataset, std::string_view name, const Attribute& value) const;
  [[nodiscard]] std::vector<std::string> attribute_names() const;
  [[nodiscard]] bool has_attribute(std::string_view name) const;
  [[nodiscard]] Attribute attribute(std::string_view name) const;

  /// Makes a 1-D dataset of this group an HDF5 dimension scale: the coordinate of a dimension.
  void make_scale(std::string_view dataset) const;
  /// Attaches a dimension scale to a dimension of another dataset of this group.
  void attach_scale(std::string_view dataset, std::string_view scale, unsigned dimension) const {
    attach_scale(dataset, *this, scale, dimension);
  }
  /// The same of a scale in another group.
  void attach_scale(std::string_view dataset, const Group& group_of_scale, std::string_view scale,
                    unsigned dimension) const;

 private:
  void write_dataset(std::string_view name, Type, const Shape&, const void* data,
                     std::size_t chunk_rows) const;
  void place_dataset(std::string_view name, Type, const Shape&, std::span<const std::byte> numbers,
                     std::size_t transposed_rows = 0) const;
  void read_dataset(std::string_view name, Type, const Shape&, void* data) const;

  Handle file_;
  Handle group_;
  std::string file_name_;  ///< used in messages
  std::string path_;
  PlacedList placed_;
};

/// A file in memory. `name` is used in messages.
class File {
 public:
  /// Makes a new file in the old format, which HDF5 1.8 and later read.
  static File create(std::string name);
  /// Opens a copy of `image`, the HDF5 data of a whole file.
  static File open(std::string name, std::span<const std::byte> image);

  [[nodiscard]] Group root() const;
  /// The HDF5 data of the whole file. The same content gives the same bytes.
  [[nodiscard]] std::vector<std::byte> image() const;

 private:
  File(Handle file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}

  Handle file_;
  std::string name_;
  PlacedList placed_ = std::make_shared<std::vector<Placed>>();
};

}  // namespace fcmnist::store::hdf5

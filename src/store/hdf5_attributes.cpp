#include <fmt/format.h>

#include <span>

#include "core/error.hpp"
#include "store/hdf5.hpp"
#include "store/hdf5_calls.hpp"

namespace fcmnist::store::hdf5 {

namespace {

void write_attribute(hid_t object, const std::string& name, const Handle& type, const Handle& space,
                     const void* data, std::string_view where) {
  const Handle attribute =
      own(H5Acreate2(object, name.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
          "H5Acreate2", where);
  check(H5Awrite(attribute.id(), type.id(), data), "H5Awrite", where);
}

struct AttributeWriter {
  hid_t object;
  const std::string& name;
  std::string_view where;

  void operator()(const std::string& text) const {
    const char* pointer = text.c_str();
    write_attribute(object, name, text_type(where), scalar(), &pointer, where);
  }
  void operator()(const std::vector<std::string>& texts) const {
    std::vector<const char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (const std::string& text : texts) pointers.push_back(text.c_str());
    pointers.push_back(nullptr);  // H5Awrite wants an address even for an empty list
    write_attribute(object, name, text_type(where), dataspace({texts.size()}, false, where), pointers.data(),
                    where);
  }
  template <class Number>
  void operator()(Number number) const {
    const Handle type = own(H5Tcopy(stored(type_of<Number>())), H5Tclose, "H5Tcopy", where);
    write_attribute(object, name, type, scalar(), &number, where);
  }
  [[nodiscard]] Handle scalar() const { return own(H5Screate(H5S_SCALAR), H5Sclose, "H5Screate", where); }
};

template <class Number>
Number read_number(const Handle& attribute, Type type, std::string_view where) {
  Number number{};
  check(H5Aread(attribute.id(), native(type), &number), "H5Aread", where);
  return number;
}

Attribute read_text(const Handle& attribute, std::string_view where) {
  const Handle space = own(H5Aget_space(attribute.id()), H5Sclose, "H5Aget_space", where);
  const Shape shape = shape_of_space(space, where);
  if (shape.size() > 1)
    throw StoreError(fmt::format("{}: a text attribute of {} dimensions", where, shape.size()));
  const Handle type = text_type(where);
  const std::size_t count = shape.empty() ? 1 : shape[0];
  std::vector<char*> pointers(count + 1);  // one more than needed, so that an empty list has an address
  check(H5Aread(attribute.id(), type.id(), pointers.data()), "H5Aread", where);
  std::vector<std::string> texts;
  for (const char* pointer : std::span(pointers).first(count))
    texts.emplace_back(pointer != nullptr ? pointer : "");
  check(H5Dvlen_reclaim(type.id(), space.id(), H5P_DEFAULT, pointers.data()), "H5Dvlen_reclaim", where);
  if (shape.empty()) return texts.front();
  return texts;
}

}  // namespace

void Group::set(std::string_view name, const Attribute& value) const {
  std::visit(AttributeWriter{group_.id(), std::string(name), where(name)}, value);
}

void Group::set_on(std::string_view dataset, std::string_view name, const Attribute& value) const {
  const std::string at = where(dataset);
  const Handle object = open_dataset(group_, dataset, at);
  std::visit(AttributeWriter{object.id(), std::string(name), at}, value);
}

std::vector<std::string> Group::attribute_names() const {
  std::vector<std::string> names;
  const auto take = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  check(H5Aiterate2(group_.id(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, take, &names), "H5Aiterate2",
        where(""));
  return names;
}

bool Group::has_attribute(std::string_view name) const {
  return check(H5Aexists(group_.id(), std::string(name).c_str()), "H5Aexists", where(name)) > 0;
}

Attribute Group::attribute(std::string_view name) const {
  const std::string at = where(name);
  if (!has_attribute(name)) throw StoreError(fmt::format("{}: the attribute is absent", at));
  const Handle attribute =
      own(H5Aopen(group_.id(), std::string(name).c_str(), H5P_DEFAULT), H5Aclose, "H5Aopen", at);
  const Handle type = own(H5Aget_type(attribute.id()), H5Tclose, "H5Aget_type", at);
  if (check(H5Tis_variable_str(type.id()), "H5Tis_variable_str", at) > 0) return read_text(attribute, at);

  const Handle space = own(H5Aget_space(attribute.id()), H5Sclose, "H5Aget_space", at);
  if (shape_of_space(space, at).empty()) {
    const auto is = [&](Type t) { return check(H5Tequal(type.id(), stored(t)), "H5Tequal", at) > 0; };
    if (is(Type::int64)) return read_number<std::int64_t>(attribute, Type::int64, at);
    if (is(Type::uint64)) return read_number<std::uint64_t>(attribute, Type::uint64, at);
    if (is(Type::float64)) return read_number<double>(attribute, Type::float64, at);
  }
  throw StoreError(fmt::format("{}: an attribute of a type that this program does not write", at));
}

}  // namespace fcmnist::store::hdf5

#include "data/set_identity.hpp"

#include <fmt/format.h>

#include <bitset>
#include <utility>

#include "core/text.hpp"
#include "data/known_set.hpp"

namespace fcmnist::data {

SetIdentity identify(Split asked_for, DatasetFiles files, FileDigests digests, const DatasetShape& shape,
                     const Dataset& dataset) {
  SetIdentity identity{.set = std::string(files.images.empty() ? made_up_set : unknown_set),
                       .split = asked_for,
                       .files = std::move(files),
                       .digests = std::move(digests),
                       .shape = shape};
  for (const KnownSet& known : known_sets()) {
    for (const Split split : {Split::train, Split::test}) {
      if (!known.has(split, identity.digests.images, identity.digests.labels)) continue;
      identity.set = known.name;
      identity.split = split;
      identity.class_names = known.class_names;
    }
  }
  if (!identity.has_labels()) return identity;
  std::bitset<256> found;
  for (const std::uint8_t label : dataset.labels) found.set(label);
  identity.classes = static_cast<int>(found.count());
  return identity;
}

std::string to_string(const SetIdentity& identity) {
  if (!identity.has_labels()) {
    return fmt::format("{}, without labels, {}", to_string(identity.shape), identity.files.images.string());
  }
  std::string set = identity.set;
  if (set == unknown_set) {
    constexpr std::size_t digits = 12;
    set += fmt::format(" (SHA-256 of images {}..., of labels {}...)",
                       identity.digests.images.substr(0, digits), identity.digests.labels.substr(0, digits));
  }
  std::string text =
      fmt::format("{}, {} split, {}, {} class{}", set, name_of(identity.split), to_string(identity.shape),
                  identity.classes, plural(static_cast<std::size_t>(identity.classes), "es"));
  if (identity.set == made_up_set) return text;
  return fmt::format("{}, {}, {}", text, identity.files.images.string(), identity.files.labels.string());
}

std::string_view name_of(Split split) { return split == Split::train ? "train" : "test"; }

bool surely_differ(std::string_view set, const std::filesystem::path& images, std::string_view other_set,
                   const std::filesystem::path& other_images) {
  if (set != other_set) return true;
  if (set != unknown_set) return false;
  const std::string name = name_of_set(images), other_name = name_of_set(other_images);
  return !name.empty() && !other_name.empty() && name != other_name;
}

}  // namespace fcmnist::data

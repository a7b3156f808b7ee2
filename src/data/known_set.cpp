#include "data/known_set.hpp"

#include <algorithm>

#include "data/data_dir.hpp"

namespace fcmnist::data {

const KnownFile* KnownSet::find(const std::filesystem::path& path) const {
  const std::string wanted = canonical_name(path);
  const auto file =
      std::find_if(files.begin(), files.end(), [&](const KnownFile& f) { return f.name == wanted; });
  return file == files.end() ? nullptr : &*file;
}

bool KnownSet::has(Split split, std::string_view images_sha256, std::string_view labels_sha256) const {
  const std::string prefix = split == Split::train ? "train-" : "t10k-";
  const auto is_file = [&](std::string_view end, std::string_view sha256) {
    const KnownFile* file = find(prefix + std::string(end));
    return file != nullptr && file->sha256 == sha256;
  };
  return is_file("images-idx3-ubyte", images_sha256) && is_file("labels-idx1-ubyte", labels_sha256);
}

KnownSet mnist() {
  return {"MNIST",
          {{"train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
           {"train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
           {"t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
           {"t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}},
          {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}};
}

KnownSet fashion_mnist() {
  return {"Fashion-MNIST",
          {{"train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
           {"train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
           {"t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
           {"t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}},
          {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
           "Ankle boot"}};
}

std::vector<KnownSet> known_sets() { return {mnist(), fashion_mnist()}; }

}  // namespace fcmnist::data

// microagent image

#include "cli/image.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/bytes_text.h"
#include "cli/furnish.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "workspace/declaration.h"

namespace microagent::cli {
namespace {

using image::Cache;
using Json = nlohmann::json;

constexpr std::size_t kShortDigest = 12, kLeastDigits = 7;

struct ListOptions {};
struct PullOptions {
  std::string reference;
};
struct RemoveOptions {
  std::string image;
};

// As `create` takes it: what lies in a directory or a file lies below the one we are in.
Result<image::Reference> parse_here(const std::string& text) {
  return image::parse_reference(workspace::anchored_image(text, {}));
}

Json record_of(const Cache::Stored& image) {
  return {{"digest", "sha256:" + image.name},
          {"references", image.references},
          {"bytes", image.bytes},
          {"used", image.used}};
}

Result<int> list_images(const Context& context, const ListOptions&) {
  const auto cache = open_images();
  if (!cache) return fail(cache.error());
  const auto images = cache->list();
  if (!images) return fail(images.error());
  Json list = Json::array();
  Table table({"DIGEST", "SIZE", "USED", "NAME"});
  for (const Cache::Stored& image : *images) {
    list.push_back(record_of(image));
    table.add({image.name.substr(0, kShortDigest), bytes_text(image.bytes), image.used ? "yes" : "no",
               image.references.empty() ? "-" : fmt::format("{}", fmt::join(image.references, ", "))});
  }
  const Status told = context.out.json()
                          ? context.out.record({{"images", std::move(list)}})
                          : context.out.text(images->empty() ? "no images\n" : table.render(context.out));
  if (!told) return fail(told.error());
  return 0;
}

Result<int> pull_image(const Context& context, const PullOptions& options) {
  const auto reference = parse_here(options.reference);
  if (!reference) return fail(reference.error());
  const auto cache = open_images();
  if (!cache) return fail(cache.error());
  const auto held = cache->obtain(*reference, image::Pull::always, Progress(context.out, reference->name));
  if (!held) return fail(held.error());
  const Status told = context.out.json()
                          ? context.out.record({{"image", workspace::image_record(held->image)}})
                          : context.out.text(fmt::format("{} is {}\n", printable(reference->name), held->image.digest));
  if (!told) return fail(told.error());
  return 0;
}

// By a name that means it now, or by its digest, of which a few digits are enough where no other has the same.
Result<Cache::Stored> find_image(const Cache& cache, const std::string& wanted) {
  auto images = cache.list();
  if (!images) return fail(images.error());
  const auto reference = parse_here(wanted);
  constexpr std::string_view kPrefix = "sha256:";
  const std::string_view digits = std::string_view(wanted).substr(wanted.starts_with(kPrefix) ? kPrefix.size() : 0);
  std::erase_if(*images, [&](const Cache::Stored& image) {
    const bool named = reference && std::ranges::count(image.references, reference->name) > 0;
    return !named && !(digits.size() >= kLeastDigits && image.name.starts_with(digits));
  });
  if (images->size() == 1) return std::move(images->front());
  const char* remedy = "`microagent image ls` shows those that are there";
  if (images->empty())
    return fail(ErrorKind::not_found, fmt::format("there is no image {}", printable(wanted)), remedy);
  return fail(ErrorKind::usage, fmt::format("{} is the beginning of several digests", printable(wanted)), remedy);
}

// As with docker: a name goes alone as long as the image has another. Which one, where that is so.
std::optional<std::string> name_that_goes_alone(const Cache::Stored& image, const std::string& wanted) {
  const auto reference = parse_here(wanted);
  const bool named = reference && std::ranges::count(image.references, reference->name) > 0;
  if (!named || image.references.size() < 2) return std::nullopt;
  return reference->name;
}

Result<int> forget_name(const Context& context, const Cache& cache, const Cache::Stored& image,
                        const std::string& name) {
  if (Status forgotten = cache.forget(name); !forgotten) return fail(forgotten.error());
  const Status told =
      context.out.json()
          ? context.out.record({{"digest", "sha256:" + image.name}, {"reference", name}, {"deleted", false}})
          : context.out.text(fmt::format("{} is forgotten; image {} has another name, and stays\n", printable(name),
                                         image.name.substr(0, kShortDigest)));
  if (!told) return fail(told.error());
  return 0;
}

Result<int> remove_image(const Context& context, const RemoveOptions& options) {
  const auto cache = open_images();
  if (!cache) return fail(cache.error());
  const auto image = find_image(*cache, options.image);
  if (!image) return fail(image.error());
  if (const auto name = name_that_goes_alone(*image, options.image)) return forget_name(context, *cache, *image, *name);
  const auto removed = cache->remove({image->name, image->bytes});
  if (!removed) return fail(removed.error());
  if (*removed == Cache::Removal::used) {
    return fail(ErrorKind::conflict, fmt::format("a workspace is made of {}", printable(options.image)),
                "delete the workspace first; `microagent list` shows them all");
  }
  if (*removed == Cache::Removal::busy) {
    return fail(ErrorKind::transient, fmt::format("another command is using {}", printable(options.image)),
                "try again once that `create`, `run` or `image pull` is done");
  }
  const Status told = context.out.json()
                          ? context.out.record({{"digest", "sha256:" + image->name}, {"deleted", true}})
                          : context.out.text(fmt::format("image {} is deleted\n", image->name.substr(0, kShortDigest)));
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_image(Commands& commands) {
  auto [command, options] =
      commands.add<ListOptions>("image", "Show the images that were pulled, pull or remove one", list_images);
  auto [list, list_options] =
      commands.add_below<ListOptions>(*command, "ls", "Show the images that were pulled", list_images);
  list->alias("list");
  auto [pull, pull_options] = commands.add_below<PullOptions>(
      *command, "pull", "Fetch an image, or what its name means by now, before a workspace needs it", pull_image);
  pull->add_option("IMAGE", pull_options->reference, "what `create --image` takes")->required()->type_name("");
  auto [remove, remove_options] =
      commands.add_below<RemoveOptions>(*command, "rm", "Remove an image that no workspace is made of", remove_image);
  remove->add_option("IMAGE", remove_options->image, "its name, or at least 7 digits of its digest")
      ->required()
      ->type_name("");
  remove->footer(
      "An image that has other names loses the one that is given, and stays. `microagent prune --images` removes all\n"
      "that no workspace is made of.");
}

}  // namespace microagent::cli

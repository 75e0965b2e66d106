#include "image/file_tree.h"

#include <fmt/format.h>

#include <algorithm>

namespace microagent::image {
namespace {

constexpr std::string_view kWhiteout = ".wh.", kOpaque = ".wh..wh..opq", kOfAufs = ".wh..wh.";
constexpr std::size_t kNode = sizeof(FileTree::Node) + sizeof(Inode) + 128;  // with what the map and the heap add
constexpr int kMaxLinks = 40;                                                // on one way, as the kernel

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> components;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (!component.empty() && component != ".") components.emplace_back(component);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return components;
}

// A name as a message may hold it.
std::string printable(std::string_view name) {
  std::string text(name.substr(0, 200));
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

tl::unexpected<Error> bad_entry(std::string_view path, std::string_view why) {
  return fail(ErrorKind::permanent, fmt::format("the archive's entry {} {}", printable(path), why),
              "make the archive, or the image whose layer it is, anew by a tool that writes standard ones");
}

Result<std::vector<std::string>> split_entry_path(const std::string& path) {
  if (path.size() > FileTree::kMaxPath) return bad_entry(path, "has too long a path");
  auto components = split(path);
  for (const std::string& component : components) {
    if (component == "..") return bad_entry(path, "leads out of it");
    if (component.size() > FileTree::kMaxName) return bad_entry(path, "has too long a name");
    if (component.find('\0') != std::string::npos) return bad_entry(path, "has a zero byte in its name");
  }
  return components;
}

tl::unexpected<Error> bad_link(const std::string& name, std::string_view target) {
  return fail(ErrorKind::permanent,
              fmt::format("the archive's symbolic link {} leads out of it, to {}", printable(name), printable(target)),
              "name the files below it by where they are to be, or make the link one within the archive");
}

Inode made_directory() { return {.type = FileType::directory, .mode = 0755}; }

}  // namespace

FileTree::FileTree(std::size_t max_memory, Whiteouts whiteouts, Place place)
    : root_{std::make_shared<Inode>(made_directory())}, whiteouts_(whiteouts), place_(place), max_memory_(max_memory) {}

Status FileTree::add(LayerEntry entry) {
  auto components = split_entry_path(entry.path);
  if (!components) return fail(components.error());
  if (components->empty()) {
    if (entry.inode.type != FileType::directory || entry.hard_link) return bad_entry("/", "is no directory");
    root_.inode = std::make_shared<Inode>(std::move(entry.inode));
    root_.layer = layer_;
    return {};
  }
  const std::string name = components->back();
  components->pop_back();
  const bool hides = whiteouts_ == Whiteouts::heeded && name.starts_with(kWhiteout);
  // What is to be hidden in a directory that is not there is not there either.
  auto parent = walk(*components, !hides);
  if (!parent) return fail(with_context(parent.error(), printable(entry.path)));
  if (*parent == nullptr) return {};
  if (hides) return white_out(**parent, name);
  return add_named(**parent, name, std::move(entry));
}

Status FileTree::add_named(Node& parent, const std::string& name, LayerEntry entry) {
  if (entry.hard_link) return link(parent, name, *entry.hard_link);
  const auto known = parent.children.find(name);
  const bool fills = known != parent.children.end() && known->second->inode->type == FileType::directory &&
                     entry.inode.type == FileType::directory;
  if (!fills) return put(parent, name, std::make_shared<Inode>(std::move(entry.inode)));
  if (Status charged = charge(name, entry.inode); !charged) return charged;
  known->second->inode = std::make_shared<Inode>(std::move(entry.inode));
  known->second->layer = layer_;
  return {};
}

Status FileTree::link(Node& parent, const std::string& name, const std::string& target) {
  auto components = split_entry_path(target);
  if (!components) return fail(components.error());
  if (components->empty()) return bad_entry(name, "is a hard link to the root");
  const std::string last = components->back();
  components->pop_back();
  const auto directory = walk(*components, false);
  if (!directory) return fail(directory.error());
  const Node* found = nullptr;
  if (*directory != nullptr) {
    const auto child = (*directory)->children.find(last);
    if (child != (*directory)->children.end()) found = child->second.get();
  }
  if (found == nullptr)
    return bad_entry(name, fmt::format("is a hard link to {}, which is not there", printable(target)));
  if (found->inode->type == FileType::directory) return bad_entry(name, "is a hard link to a directory");
  return put(parent, name, found->inode);
}

Status FileTree::put(Node& parent, const std::string& name, std::shared_ptr<Inode> inode) {
  const auto known = parent.children.find(name);
  if (known != parent.children.end()) {
    forget(*known->second);
    parent.children.erase(known);
  }
  if (files_ >= kMaxFiles) {
    return fail(ErrorKind::unsupported, fmt::format("there are more than {} files", kMaxFiles), "use a smaller one");
  }
  if (Status charged = charge(name, *inode); !charged) return charged;
  ++files_;
  parent.children.emplace(name, std::make_unique<Node>(Node{std::move(inode), layer_}));
  return {};
}

// What a layer says costs its author next to nothing, since it is compressed.
Status FileTree::charge(std::string_view name, const Inode& inode) {
  constexpr std::size_t kAttribute = sizeof(ExtendedAttribute);
  memory_ += kNode + name.size() + inode.target.size();
  for (const ExtendedAttribute& attribute : inode.attributes) {
    memory_ += kAttribute + attribute.name.size() + attribute.value.size();
  }
  if (memory_ <= max_memory_) return {};
  return fail(ErrorKind::unsupported,
              fmt::format("what is said of the files takes more than {} MiB", max_memory_ / 1024 / 1024),
              "use a smaller one");
}

Result<FileTree::Node*> FileTree::walk(const Path& components, bool make) {
  std::vector<Node*> way{&root_};
  Path rest(components.rbegin(), components.rend());  // the next one last
  int links = 0;
  std::string link, target;  // the last one gone through
  while (!rest.empty()) {
    const std::string name = std::move(rest.back());
    rest.pop_back();
    if (name == "..") {
      if (way.size() > 1) way.pop_back();
      else if (place_ == Place::directory) return bad_link(link, target);
      continue;
    }
    if (name.size() > kMaxName) return bad_entry(name, "has too long a name");
    Node& here = *way.back();
    auto child = here.children.find(name);
    if (child == here.children.end()) {
      if (!make) return nullptr;
      if (Status made = put(here, name, std::make_shared<Inode>(made_directory())); !made) return fail(made.error());
      child = here.children.find(name);
    }
    const Inode& inode = *child->second->inode;
    if (inode.type == FileType::symlink) {
      if (++links > kMaxLinks) return bad_entry(name, "is one of too many symbolic links");
      link = name;
      target = inode.target;
      if (target.starts_with('/')) {
        if (place_ == Place::directory) return bad_link(link, target);
        way.resize(1);
      }
      const Path further = split(target);
      rest.insert(rest.end(), further.rbegin(), further.rend());
      continue;
    }
    if (inode.type != FileType::directory) {
      if (!make) return nullptr;
      return bad_entry(name, "lies below what is no directory");
    }
    if (way.size() >= kMaxDepth) return bad_entry(name, "lies too deep");
    way.push_back(child->second.get());
  }
  return way.back();
}

// Hides what lower layers have, and nothing of this one, in whatever order it comes.
Status FileTree::white_out(Node& parent, std::string_view name) {
  if (name == kOpaque) {
    std::erase_if(parent.children, [this](const auto& child) { return remove_older(*child.second); });
    return {};
  }
  if (name.starts_with(kOfAufs)) return {};  // its own bookkeeping
  const auto child = parent.children.find(name.substr(kWhiteout.size()));
  if (child != parent.children.end() && remove_older(*child->second)) parent.children.erase(child);
  return {};
}

// Whether the node itself is to go, and has been counted so.
bool FileTree::remove_older(Node& node) {
  std::erase_if(node.children, [this](const auto& child) { return remove_older(*child.second); });
  if (node.layer == layer_ || !node.children.empty()) return false;
  --files_;
  return true;
}

void FileTree::forget(Node& node) {
  for (const auto& [name, child] : node.children) forget(*child);
  --files_;
}

}  // namespace microagent::image

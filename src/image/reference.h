#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace microagent::image {

enum class Transport { registry, oci_layout, docker_archive };

// Where an image comes from.
struct Reference {
  Transport transport = Transport::registry;
  std::string name;        // one spelling for one thing: docker.io/library/debian:12, oci:/path:tag
  std::string source;      // as skopeo is given it: docker://docker.io/library/debian:12
  std::string repository;  // of a registry: the name without tag and digest
  std::string pin;         // the digest that the name itself demands: 64 hexadecimal digits, or nothing
  bool loopback = false;   // a registry on this host, which may do without TLS
};

// Reads what `--image` is given:
//   docker://NAME or NAME      in a registry; NAME is [HOST[:PORT]/]PATH[:TAG][@DIGEST] and is completed as docker does
//   oci:DIRECTORY[:TAG]        an OCI image layout
//   docker-archive:FILE[:NAME] what `docker save` writes
// Paths are absolute. Kind usage.
Result<Reference> parse_reference(std::string_view text);

}  // namespace microagent::image

#pragma once

// The spec file, microagent.yaml:
//
//   name: research
//   network:
//     mode: user                     # or isolated
//     forwards:
//       - {host: 127.0.0.1, hostPort: 8080, guestPort: 80, protocol: tcp}   # ports may be ranges: 8000-8010
//     ip: 192.168.64.2/24
//     subnet: 192.168.64.0/24
//     gateway: 192.168.64.1
//     dns: [1.1.1.1]
//     routes: [0.0.0.0/0 via 192.168.64.1]
//   image: docker.io/library/debian:12   # or oci:DIR[:TAG], docker-archive:FILE, relative to this file
//   command: [python3, -m, http.server]  # in place of the image's
//   init: /sbin/init                 # the image's own, as the guest's process 1
//   volumes: ["data:/var/lib/data"]
//   bundles: ["app.tar.gz:/srv/app"] # unpacked into the image's disk; relative to this file
//   resources: {memory: 512MiB, cpus: 2, disk: 10GiB}
//   env: {GREETING: hello}           # or a list of NAME=VALUE
//   entrypoint: httpd -f -p 80       # run by the guest's shell
//   egress: {mode: broker, allow: [api.example.com, "10.1.2.3:5432"]}   # keys as in workspace/egress_spec.h
//
// Unknown keys, wrong types and duplicate keys are errors that say FILE:LINE.

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "workspace/declaration.h"

namespace microagent::workspace {

Result<Declaration> load_spec(const std::filesystem::path& path);

// `file` is the name in messages.
Result<Declaration> parse_spec(std::string_view text, std::string_view file);

}  // namespace microagent::workspace

#pragma once

#include <string>

namespace microagent::workspace {

// `place` says where the value was written: "--ip" or "microagent.yaml:7: network.ip".
template <typename T>
struct Declared {
  T value;
  std::string place;
};

}  // namespace microagent::workspace

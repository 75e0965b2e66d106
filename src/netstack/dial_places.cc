#include "netstack/dial_places.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace microagent::netstack {
namespace {

using wire::IpAddress;

class Places {
 public:
  Places(const Config& config, const GuestService& service) {
    add(IpAddress::ipv4(config.guest_ip));
    if (config.has_ipv6) add(IpAddress::ipv6(config.guest_ip6));
    if (config.has_ipv6 && service.client == IpAddress::Family::ipv6) std::swap(places_[0], places_[1]);
    add(IpAddress::ipv4({127, 0, 0, 1}));
  }
  std::span<const IpAddress> all() const { return std::span(places_).first(count_); }

 private:
  void add(const IpAddress& place) { places_[count_++] = place; }

  std::array<IpAddress, 3> places_;
  std::size_t count_ = 0;
};

}  // namespace

IpAddress first_dial_place(const Config& config, const GuestService& service) {
  return Places(config, service).all().front();
}

std::optional<IpAddress> next_dial_place(const Config& config, const GuestService& service, const IpAddress& refused) {
  const Places places(config, service);
  const auto place = std::ranges::find(places.all(), refused);
  const bool last = place == places.all().end() || std::next(place) == places.all().end();
  return last ? std::nullopt : std::optional(*std::next(place));
}

}  // namespace microagent::netstack

#pragma once

// The parts of runtime.json that the records for printing show too.

#include "workspace/state.h"

namespace microagent::workspace {

nlohmann::json to_json(const Signal& signal);
nlohmann::json to_json(const EffectiveNetwork& network);

// `where` is FILE:LINE.
Result<Event> event_from_json(const nlohmann::json& json, std::string_view where);

}  // namespace microagent::workspace

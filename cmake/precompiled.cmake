# Precompiled headers. Half of a cold build went into reading fmt, nlohmann::json, Boost.Asio and GoogleTest again for
# each file; now each set is read once. They hold no header of ours. A file still names all it needs:
# -DMICROAGENT_PCH=OFF, which the fuzz preset sets, builds without them.

option(MICROAGENT_PCH "Precompile the headers of the standard library and of other projects" ON)

set(headers_plain <algorithm> <array> <cerrno> <chrono> <cstdint> <cstring> <functional> <memory> <optional> <span>
  <string> <string_view> <unordered_map> <utility> <vector> <fmt/format.h> <tl/expected.hpp>)
set(headers_common ${headers_plain} <deque> <filesystem> <fstream> <map> <set> <sstream> <nlohmann/json.hpp>)
set(headers_async ${headers_common} <boost/asio/as_tuple.hpp> <boost/asio/awaitable.hpp> <boost/asio/co_spawn.hpp>
  <boost/asio/experimental/awaitable_operators.hpp> <boost/asio/io_context.hpp>
  <boost/asio/posix/stream_descriptor.hpp> <boost/asio/steady_timer.hpp> <boost/asio/use_awaitable.hpp>)
set(headers_test ${headers_common} <gmock/gmock.h> <gtest/gtest.h>)
set(headers_async_test ${headers_async} <gmock/gmock.h> <gtest/gtest.h>)

# One set is compiled with the flags of the targets that will read it: plain without exceptions.
foreach(kind IN ITEMS plain common async test async_test)
  if(NOT MICROAGENT_PCH)
    break()
  endif()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/precompiled/${kind}.cc CONTENT "")
  add_library(precompiled_${kind} OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/precompiled/${kind}.cc)
  target_link_libraries(precompiled_${kind} PRIVATE microagent_options fmt::fmt nlohmann_json::nlohmann_json
    GTest::gmock)
  if(kind MATCHES "^async")
    target_link_libraries(precompiled_${kind} PRIVATE Boost::headers)
  endif()
  if(kind STREQUAL plain)
    target_compile_options(precompiled_${kind} PRIVATE -fno-exceptions)
  endif()
  # The time of its making would make it new to ccache each time.
  target_compile_options(precompiled_${kind} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  target_precompile_headers(precompiled_${kind} PRIVATE ${headers_${kind}})
endforeach()

function(microagent_precompiled target kind)
  if(MICROAGENT_PCH)
    target_precompile_headers(${target} REUSE_FROM precompiled_${kind})
  endif()
endfunction()

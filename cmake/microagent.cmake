# How the folders of src/ are declared: one static library or one program each, tests beside the code.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

add_library(microagent_options INTERFACE)
target_include_directories(microagent_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(microagent_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
  -fstack-protector-strong $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
target_link_options(microagent_options INTERFACE -fuse-ld=lld-16)
if(MICROAGENT_WERROR)
  target_compile_options(microagent_options INTERFACE -Werror)
endif()
if(MICROAGENT_SANITIZE)
  target_compile_options(microagent_options INTERFACE -fsanitize=${MICROAGENT_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_link_options(microagent_options INTERFACE -fsanitize=${MICROAGENT_SANITIZE})
endif()

if(MICROAGENT_FUZZ)
  # So that libFuzzer sees which branches of the code under test an input takes.
  target_compile_options(microagent_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# The folders that handle guest bytes on the data path build without exceptions.
set(MICROAGENT_NO_EXCEPTIONS base wire archive flow virtio netstack netd init)

# The folders that know Boost.Asio.
set(MICROAGENT_ASYNC aio mediator supervisor tls http credentials)

function(microagent_flags target folder)
  target_link_libraries(${target} PUBLIC microagent_options)
  if(folder IN_LIST MICROAGENT_NO_EXCEPTIONS)
    target_compile_options(${target} PRIVATE -fno-exceptions)
    microagent_precompiled(${target} plain)
  elseif(folder IN_LIST MICROAGENT_ASYNC)
    target_link_libraries(${target} PUBLIC Boost::headers)
    microagent_precompiled(${target} async)
  else()
    microagent_precompiled(${target} common)
  endif()
endfunction()

# microagent_library(<folder> SOURCES ... [LINK ...]) makes the static library microagent_<folder>.
function(microagent_library folder)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(microagent_${folder} STATIC ${arg_SOURCES})
  microagent_flags(microagent_${folder} ${folder})
  target_link_libraries(microagent_${folder} PUBLIC ${arg_LINK})
endfunction()

# microagent_program(<folder> <name> SOURCES ... [LINK ...]) makes the program <name> in build/bin.
function(microagent_program folder name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  microagent_flags(${name} ${folder})
  target_link_libraries(${name} PRIVATE ${arg_LINK})
  set_property(GLOBAL APPEND PROPERTY MICROAGENT_PROGRAMS ${name})
endfunction()

# microagent_test(<folder> SOURCES ... [LINK ...]) makes one GoogleTest program of a folder's *_test.cc files.
function(microagent_test folder)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${folder}_test ${arg_SOURCES})
  target_link_libraries(${folder}_test PRIVATE microagent_options microagent_${folder} ${arg_LINK}
    GTest::gmock GTest::gtest_main)
  if(folder IN_LIST MICROAGENT_ASYNC)
    target_link_libraries(${folder}_test PRIVATE Boost::headers)
    microagent_precompiled(${folder}_test async_test)
  else()
    microagent_precompiled(${folder}_test test)
  endif()
  set_target_properties(${folder}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  gtest_discover_tests(${folder}_test TEST_PREFIX "unit/${folder}." PROPERTIES LABELS unit DISCOVERY_TIMEOUT 60)
endfunction()

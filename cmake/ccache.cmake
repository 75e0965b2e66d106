# Compiles through ccache where it is installed and nobody named another launcher.

find_program(MICROAGENT_CCACHE ccache)
if(MICROAGENT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # A precompiled header is known by its content (see MICROAGENT_PCH), so that its time need not count.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${MICROAGENT_CCACHE})
endif()

# The version: from git where there is a repository, else from the file VERSION alone.
file(STRINGS "${CMAKE_SOURCE_DIR}/VERSION" EOC_VERSION LIMIT_COUNT 1)
set(EOC_COMMIT "unknown")
find_package(Git QUIET)
if(GIT_FOUND AND EXISTS "${CMAKE_SOURCE_DIR}/.git")
  execute_process(
    COMMAND "${GIT_EXECUTABLE}" -C "${CMAKE_SOURCE_DIR}" describe --always --dirty --abbrev=12 --exclude=*
    OUTPUT_VARIABLE EOC_GIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE EOC_GIT_FAILED)
  if(NOT EOC_GIT_FAILED AND EOC_GIT)
    set(EOC_COMMIT "${EOC_GIT}")
  endif()
endif()

# Writes OUTPUT with the git revision of SOURCE_DIR, '-dirty' when tracked files differ, 'unknown' outside git.
# Touches the file only when its content changes, so that nothing is rebuilt for nothing.
execute_process(COMMAND git -C ${SOURCE_DIR} describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  set(revision unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define FCMNIST_GIT_REVISION \"${revision}\"\n")

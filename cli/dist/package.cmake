# Debian packages: cmake --build BUILD --target package.
#
# The target runs debian/build, which configures the tree a second time in
# BUILD/package, for /usr, with the distribution's hardening flags and
# BIDE_PACKAGE=ON, and runs cpack there.  The packages are in BUILD/package.
option(BIDE_PACKAGE "Configure as debian/build does" OFF)
set(debian ${CMAKE_CURRENT_LIST_DIR}/debian)
if(NOT BIDE_PACKAGE)
  add_custom_target(package COMMAND ${debian}/build ${CMAKE_SOURCE_DIR}
    ${CMAKE_BINARY_DIR}/package USES_TERMINAL VERBATIM)
  return()
endif()

set(BIDE_PACKAGE_VERSION ${PROJECT_VERSION} CACHE STRING "Version of the packages")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VERSION ${BIDE_PACKAGE_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_CONTACT "bide authors <bide@packages.invalid>" CACHE STRING
  "Maintainer of the packages")
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # SOURCE_DATE_EPOCH
file(CONFIGURE OUTPUT changelog CONTENT
"bide (${BIDE_PACKAGE_VERSION}) unstable; urgency=medium

  * Release ${BIDE_PACKAGE_VERSION}: see CHANGELOG.md beside this file.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
file(COPY CHANGELOG.md DESTINATION .)
execute_process(COMMAND gzip -9nf changelog CHANGELOG.md
  WORKING_DIRECTORY ${CMAKE_BINARY_DIR} COMMAND_ERROR_IS_FATAL ANY)
set(CPACK_COMPONENTS_ALL ${library} libbide-dev bide)
if(TARGET python)
  list(APPEND CPACK_COMPONENTS_ALL python3-bide)
endif()
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# package(NAME SECTION SYNOPSIS DESCRIPTION): sets what all packages have, and
# installs their copyright and change log.
function(package name section synopsis description)
  string(TOUPPER ${name} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${synopsis}\n${description}"
    PARENT_SCOPE)
  install(FILES ${debian}/copyright ${CMAKE_BINARY_DIR}/changelog.gz
    ${CMAKE_BINARY_DIR}/CHANGELOG.md.gz
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} COMPONENT ${name})
endfunction()
package(${library} libs "library of named retry policies"
"bide keeps retry policies (attempts, waits, deadlines, budgets, breakers) by
name in one registry per host.  A program runs its calls under a policy, and
follows at once when an operator changes it.
This package has the shared library that programs load.")
package(libbide-dev libdevel "library of named retry policies (development)"
"bide keeps retry policies by name in one registry per host.
This package has the headers, the static library, bide(3), and the files for
pkg-config and CMake.")
package(bide admin "command for the retry policies of a host"
"bide keeps retry policies (attempts, waits, deadlines, budgets, breakers) by
name in one registry per host.
This package has the command that changes and shows policies, live statistics
and history, the units of the recorder and of the page, policies ready to use,
and alert rules for Prometheus.")
if(TARGET python)
  package(python3-bide python "named retry policies for Python"
"bide keeps retry policies (attempts, waits, deadlines, budgets, breakers) by
name in one registry per host.
This package runs functions, coroutines and blocks of Python under a policy,
classifies their exceptions, and lets Tenacity follow a policy.")
endif()

# The command and the library of a host come from one release, because both use
# the files of the registry.  libbide-dev needs what a static link needs.
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_COMPONENT_BIDE_DEPENDS ${library})
set(CPACK_COMPONENT_LIBBIDE-DEV_DEPENDS ${library})
set(version ${BIDE_PACKAGE_VERSION})
string(TOUPPER ${library} LIBRARY)
set(CPACK_DEBIAN_${LIBRARY}_PACKAGE_BREAKS
  "bide (<< ${version}), bide (>> ${version})")
set(CPACK_DEBIAN_LIBBIDE-DEV_PACKAGE_DEPENDS "liblmdb-dev, libinih-dev")
set(CPACK_DEBIAN_BIDE_PACKAGE_DEPENDS
  "systemd-standalone-sysusers | systemd-sysusers | systemd")
set(CPACK_COMPONENT_PYTHON3-BIDE_DEPENDS ${library})
set(CPACK_DEBIAN_PYTHON3-BIDE_PACKAGE_CONTROL_EXTRA
  ${debian}/python3-bide/postinst ${debian}/python3-bide/prerm)
install(FILES ${debian}/bide/lintian-overrides RENAME bide
  DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides COMPONENT bide)
set(CPACK_DEBIAN_BIDE_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_BIDE_PACKAGE_CONTROL_EXTRA ${debian}/bide/postinst
  ${debian}/bide/prerm ${debian}/bide/postrm)

# debian/build gives cpack the library's dependencies: with SHLIBDEPS or
# GENERATE_SHLIBS cpack would add scripts that call ldconfig, instead of the
# trigger.  Until 1.0 a program needs the minor version that it was built with.
set(minor ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
math(EXPR next "${PROJECT_VERSION_MINOR} + 1")
file(CONFIGURE OUTPUT control/shlibs CONTENT
"libbide ${soversion} ${library} (>= ${minor}), ${library} (<< ${PROJECT_VERSION_MAJOR}.${next}~)
")
file(CONFIGURE OUTPUT control/triggers CONTENT "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_${LIBRARY}_PACKAGE_CONTROL_EXTRA
  ${CMAKE_BINARY_DIR}/control/shlibs ${CMAKE_BINARY_DIR}/control/triggers)
include(CPack)

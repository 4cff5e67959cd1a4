# What is installed, and by which package: the component has the package's name.

get_target_property(soversion bide SOVERSION)
set(library libbide${soversion})
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/bide)
file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" up "${up}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/bide.pc.in bide.pc @ONLY)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/bide-config.cmake.in
  bide-config.cmake INSTALL_DESTINATION ${package})
# Until 1.0 each minor version may change the ABI.  The commit of 1.0 changes this
# to SameMajorVersion, SOVERSION to 1, and the node of lib/bide.map to BIDE_1.0.
write_basic_package_version_file(bide-config-version.cmake
  COMPATIBILITY SameMinorVersion)

install(TARGETS bide EXPORT bide-targets
  LIBRARY COMPONENT ${library} NAMELINK_COMPONENT libbide-dev)
install(TARGETS bide_static DESTINATION ${CMAKE_INSTALL_LIBDIR}
  COMPONENT libbide-dev)
install(DIRECTORY include/ TYPE INCLUDE COMPONENT libbide-dev)
install(FILES ${CMAKE_BINARY_DIR}/bide.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT libbide-dev)
install(EXPORT bide-targets NAMESPACE bide:: DESTINATION ${package}
  COMPONENT libbide-dev)
install(FILES ${CMAKE_BINARY_DIR}/bide-config.cmake
  ${CMAKE_BINARY_DIR}/bide-config-version.cmake
  DESTINATION ${package} COMPONENT libbide-dev)

install(TARGETS bide_command COMPONENT bide)
if(BIDE_PACKAGE AND TARGET python) # elsewhere: pip install ./lib/python
  set(folder lib/python3/dist-packages)
  install(TARGETS python LIBRARY DESTINATION ${folder}/bide
    COMPONENT python3-bide)
  install(DIRECTORY lib/python/bide/ DESTINATION ${folder}/bide
    COMPONENT python3-bide FILES_MATCHING PATTERN "*.py" PATTERN "*.pyi"
    PATTERN "py.typed" PATTERN "__pycache__" EXCLUDE)
  install(FILES ${CMAKE_BINARY_DIR}/python/METADATA
    DESTINATION ${folder}/bide-${PROJECT_VERSION}.dist-info
    COMPONENT python3-bide)
endif()
file(GLOB units CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.service.in
  ${CMAKE_CURRENT_LIST_DIR}/*.socket.in)
if(NOT CURL_FOUND)
  list(FILTER units EXCLUDE REGEX bide-fleet)
endif()
file(READ ${CMAKE_CURRENT_LIST_DIR}/hardening.in hardening)
string(STRIP "${hardening}" hardening)
foreach(source IN LISTS units)
  get_filename_component(unit ${source} NAME_WLE)
  configure_file(${source} ${unit} @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/${unit}
    DESTINATION lib/systemd/system COMPONENT bide)
endforeach()
foreach(kind sysusers tmpfiles)
  install(FILES ${CMAKE_CURRENT_LIST_DIR}/bide.${kind} RENAME bide.conf
    DESTINATION lib/${kind}.d COMPONENT bide)
endforeach()
install(FILES ${CMAKE_CURRENT_LIST_DIR}/bide.bash RENAME bide
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  COMPONENT bide)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(zsh vendor-completions) # of packages; zsh of Debian looks there
else()
  set(zsh site-functions)
endif()
install(FILES ${CMAKE_CURRENT_LIST_DIR}/bide.zsh RENAME _bide
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh} COMPONENT bide)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/bide-alerts.yml
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bide/prometheus COMPONENT bide)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/bide-dashboard.json
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bide/grafana COMPONENT bide)
set(LIBBIDE ${CMAKE_INSTALL_FULL_LIBDIR}/libbide.so.${soversion})
configure_file(${CMAKE_CURRENT_LIST_DIR}/bide.bt.in bide.bt @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/bide.bt
  ${CMAKE_CURRENT_LIST_DIR}/export.schema.json
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bide COMPONENT bide)
install(DIRECTORY policies/ DESTINATION ${CMAKE_INSTALL_DATADIR}/bide/policies
  COMPONENT bide FILES_MATCHING PATTERN "*.ini")

file(GLOB pages CONFIGURE_DEPENDS cli/man/bide.[1-8])
foreach(page IN LISTS pages)
  string(REGEX MATCH "[1-8]$" section ${page})
  if(BIDE_PACKAGE)
    get_filename_component(name ${page}.gz NAME)
    execute_process(COMMAND gzip -9nc ${page} COMMAND_ERROR_IS_FATAL ANY
      OUTPUT_FILE ${CMAKE_BINARY_DIR}/${name})
    set(page ${CMAKE_BINARY_DIR}/${name})
  endif()
  if(section EQUAL 3)
    set(component libbide-dev)
  else()
    set(component bide)
  endif()
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
    COMPONENT ${component})
endforeach()

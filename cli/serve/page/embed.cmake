# Writes page.c, which holds page.html with page.css and the scripts inserted:
#   cmake -DFROM=FOLDER -DTO=page.c -P embed.cmake
# page.c also holds the Content-Security-Policy.  It names the hashes of the one
# script and the one style, so that a browser runs and loads nothing else.
file(READ "${FROM}/page.html" page)
file(READ "${FROM}/page.css" style)
foreach(name show policies policy page) # in this order they are one script
  file(READ "${FROM}/${name}.js" part)
  string(APPEND script "${part}")
endforeach()
string(REPLACE "/* page.css */" "\n${style}" page "${page}")
string(REPLACE "/* page.js */" "\n${script}" page "${page}")
file(WRITE "${TO}.html" "${page}")
file(READ "${TO}.html" bytes HEX)
file(SIZE "${TO}.html" size)

set(alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

# Sets `out` to the base64 of 32 bytes that are given in hex.
function(base64 hex out)
  set(result "")
  foreach(at RANGE 0 60 6)
    string(SUBSTRING "${hex}0000" ${at} 6 part)
    math(EXPR number "0x${part}")
    foreach(shift 18 12 6 0)
      math(EXPR digit "(${number} >> ${shift}) & 63")
      string(SUBSTRING "${alphabet}" ${digit} 1 letter)
      string(APPEND result "${letter}")
    endforeach()
  endforeach()
  string(SUBSTRING "${result}" 0 43 result) # without the padding's digit
  set(${out} "${result}=" PARENT_SCOPE)
endfunction()

# Sets `out` to the hash of the text between <tag> and </tag>.
function(hash_of tag out)
  string(FIND "${page}" "<${tag}>" begin)
  string(FIND "${page}" "</${tag}>" end)
  string(LENGTH "<${tag}>" length)
  if(begin LESS 0 OR end LESS begin)
    message(FATAL_ERROR "${FROM}: no <${tag}>")
  endif()
  math(EXPR begin "${begin} + ${length}")
  math(EXPR length "${end} - ${begin}")
  string(SUBSTRING "${page}" ${begin} ${length} text)
  string(SHA256 hash "${text}")
  base64(${hash} encoded)
  set(${out} "sha256-${encoded}" PARENT_SCOPE)
endfunction()

hash_of(script script)
hash_of(style style)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
file(WRITE "${TO}" "/* Made of the files in page/ by embed.cmake. */
#include <stddef.h>

#include \"serve.h\"

const unsigned char serve_page[] = {${bytes}};
const size_t serve_page_length = ${size};
const char serve_page_policy[] =
    \"default-src 'none'; script-src '${script}'; style-src '${style}'; \"
    \"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \"
    \"frame-ancestors 'none'\";
")

#!/usr/bin/env bash
# Installs a build (argument 1) into a new folder and uses it from there as other
# projects do: with pkg-config, with CMake, from C++, statically.  Checks which
# symbols the libraries export; symbols.py compares them with the header.
set -euo pipefail
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/usr" >/dev/null
libdir=$(dirname "$(find "$work/usr" -name libbide.so)")

echo "1. the libraries export only bide_ symbols, the shared one each with a version"
nm -D --defined-only --with-symbol-versions "$libdir/libbide.so" | awk '$2 != "A" {print $3}' >"$work/symbols"
if grep -v '^bide_[a-z_]*@@BIDE_0$' "$work/symbols"; then
    exit 1
fi
nm -g --defined-only "$libdir/libbide.a" | awk 'NF == 3 {print $3}' >"$work/symbols"
if ! grep -q '^bide_open$' "$work/symbols" || grep -v '^bide_' "$work/symbols"; then
    exit 1
fi
readelf -d "$libdir/libbide.so" >"$work/dynamic"
grep -q 'SONAME.*libbide.so.0' "$work/dynamic"

(cd "$(dirname "$0")/../../include" && ls) >"$work/headers"
(cd "$work/usr/include" && ls) | diff "$work/headers" -
manual=$(find "$work/usr" -name bide.3)
test -s "$manual"

echo "2. a program builds with pkg-config"
cat >"$work/one.c" <<'C'
#include <bide.h>
int
main(void)
{
    struct bide *b;

    return bide_open("/nonexistent", 0, &b) || bide_close(b);
}
C
# The output goes to a file, because `nm | grep -q` fails with pipefail: grep stops
# reading at the first match, and SIGPIPE kills nm.
nm -D "$libdir/libbide.so" >"$work/undefined"
if grep -qE '__(asan|tsan|ubsan)' "$work/undefined"; then
    echo "   (skipped: the library is built with sanitizers)"
    exit 0
fi
export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir
# shellcheck disable=SC2046
cc "$work/one.c" -o "$work/one" $(pkg-config --cflags --libs bide)
"$work/one"

echo "3. the header compiles alone, as C++ and as strict C"
if command -v c++ >/dev/null; then
    c++ -std=c++11 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c++ "$work/usr/include/bide.h"
fi
cc -std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c "$work/usr/include/bide.h"
if command -v c++ >/dev/null; then
    # shellcheck disable=SC2046
    c++ -std=c++17 -Wall -Wextra -Werror -pedantic $(pkg-config --cflags bide) \
        "$(dirname "$0")/adapters/cplus.cc" -o "$work/cplus" $(pkg-config --libs bide) -pthread
    "$work/cplus"
fi

echo "4. a project builds with CMake"
cat >"$work/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.25)
project(other C)
foreach(version 0.0 0.2 1.0) # each minor version has an ABI of its own
  find_package(bide ${version} QUIET)
  if(bide_FOUND)
    message(FATAL_ERROR "0.1 is taken for ${version}")
  endif()
endforeach()
find_package(bide 0.1 REQUIRED)
add_executable(one one.c)
target_link_libraries(one bide::bide)
C
cmake -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/usr" >/dev/null
cmake --build "$work/build" >/dev/null
"$work/build/one"

echo "5. a program with the names of internal functions links libbide.a"
cat >"$work/static.c" <<'C'
#include <bide.h>
int policy_free = 1;
int name_near(void);

int
name_near(void)
{
    return 2;
}

int
main(void)
{
    struct bide *b;
    struct bide_policy *p;

    return bide_open("/nonexistent", 0, &b) || bide_lookup(b, "x", NULL, &p) ||
           bide_close(b) || policy_free != 1 || name_near() != 2;
}
C
DESTDIR=$work/stage cmake --install "$build" --prefix /usr >/dev/null
libdir=$(dirname "$(find "$work/stage" -name libbide.a)")
rm "$libdir"/libbide.so*
export PKG_CONFIG_PATH=$libdir/pkgconfig
unset LD_LIBRARY_PATH
for compiler in cc gcc clang c++ g++ clang++; do
    command -v "$compiler" >/dev/null || continue
    program=("$work/static.c")
    [[ $compiler != *++ ]] || program=(-std=c++17 -pthread "$(dirname "$0")/adapters/cplus.cc")
    # shellcheck disable=SC2046
    "$compiler" $(pkg-config --cflags bide) "${program[@]}" -o "$work/static" $(pkg-config --static --libs bide)
    "$work/static"
done

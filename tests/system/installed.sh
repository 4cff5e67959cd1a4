#!/usr/bin/env bash
# Installs a build (argument 1) into a new folder and uses it from there as other
# projects do: with pkg-config, with CMake, from C++.  Checks which symbols the
# library exports.
set -euo pipefail
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/usr" >/dev/null
libdir=$(dirname "$(find "$work/usr" -name libbide.so)")

echo "1. the library exports only bide_ symbols, each with a version"
nm -D --defined-only --with-symbol-versions "$libdir/libbide.so" | awk '$2 != "A" {print $3}' >"$work/symbols"
if grep -v '^bide_[a-z_]*@@BIDE_0$' "$work/symbols"; then
    exit 1
fi
declared=$(grep -oE '\bbide_[a-z_]+\(' "$work/usr/include/bide.h" | tr -d '(' | sort -u)
for name in $declared; do
    grep -q "^$name@@" "$work/symbols" || grep -qE "^typedef .*\b$name\(" "$work/usr/include/bide.h" ||
        { echo "declared, but not in the library: $name" && exit 1; }
done
readelf -d "$libdir/libbide.so" >"$work/dynamic"
grep -q 'SONAME.*libbide.so.0' "$work/dynamic"

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
    c++ -std=c++11 -Wall -Wextra -Werror -pedantic $(pkg-config --cflags bide) \
        "$(dirname "$0")/exception.cc" -o "$work/exception" $(pkg-config --libs bide)
    "$work/exception"
fi

echo "4. a project builds with CMake"
cat >"$work/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.25)
project(other C)
find_package(bide 0.1 REQUIRED)
add_executable(one one.c)
target_link_libraries(one bide::bide)
C
cmake -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/usr" >/dev/null
cmake --build "$work/build" >/dev/null
"$work/build/one"

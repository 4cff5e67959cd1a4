#!/usr/bin/env bats
# bide.hpp, compiled and tried under each compiler and standard.
load programs

# try_cplus COMPILER STANDARD
try_cplus() {
    needs "$1"
    # clang has a sanitizer runtime of its own, which cannot be mixed with gcc's.
    [ "$1" = g++ ] || needs_plain_build
    compile "$1" "$T/cplus" -std="c++$2" "$TOP/tests/system/adapters/cplus.cc"
    BIDE=$BIDE gives 0 "$T/cplus" "$DIR"
    unset BIDE # without a registry
    gives 0 "$T/cplus"
}

@test "gcc, C++17: exceptions, hooks, cancellation and moves leave no call open" {
    try_cplus g++ 17
}

@test "gcc, C++20" {
    try_cplus g++ 20
}

@test "gcc, C++23" {
    try_cplus g++ 23
}

@test "clang, C++17" {
    try_cplus clang++ 17
}

@test "clang, C++20" {
    try_cplus clang++ 20
}

@test "clang, C++23" {
    try_cplus clang++ 2b
}

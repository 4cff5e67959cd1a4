# shellcheck shell=bash
# Compiles programs that use the headers of bide as other projects do.

load ../registry

# needs COMMAND...: skips the test if a command is missing.
needs() {
    local command

    for command; do
        type -P "$command" >/dev/null || skip "needs $command"
    done
}

# needs_module NAME: skips the test if pkg-config does not know a module.
needs_module() {
    pkg-config --exists "$1" || skip "needs $1"
}

# compile COMPILER OUT ARGUMENT...: compiles a program, with the sanitizers of the library.
compile() {
    local compiler=$1 out=$2
    shift 2

    "$compiler" -g -Wall -Wextra -Wpedantic -Wshadow -Werror ${SANITIZE:+-fsanitize=$SANITIZE} \
        -I "$TOP/include" "$@" -o "$out" -L "$BUILD" -Wl,-rpath,"$BUILD" -lbide -pthread
}

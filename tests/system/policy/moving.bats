#!/usr/bin/env bats
# The rules of other systems in bide(7), and the policies that they become.
load ../registry

setup() {
    enter_test
}

@test "each example is valid, and has the waits and the rules that the page claims" {
    gives 0 python3 "$BATS_TEST_DIRNAME/moving.py" "$BIDE" "$TOP"
    says "6 parts, 62 cases, 0 faults"
}

@test "Tenacity waits as the page claims" {
    for python in python3 /usr/bin/python3; do
        if "$python" -c "import tenacity" 2>/dev/null; then
            gives 0 "$python" "$BATS_TEST_DIRNAME/moving.py" "$BIDE" "$TOP" tenacity
            says "6 parts, 0 cases, 0 faults"
            return
        fi
    done
    skip "needs the package python3-tenacity"
}

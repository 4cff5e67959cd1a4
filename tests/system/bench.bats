#!/usr/bin/env bats
# tests/bench/run works and reports its results.  The times themselves are not
# checked: they depend on the load of the machine.

setup() {
    # Times under a sanitizer are meaningless.
    if nm -D "$(dirname "$BIDE")/libbide.so" | grep -E "__(asan|tsan)_init" >/dev/null; then
        skip "needs a build without sanitizers"
    fi
}

@test "a quick run reports a row for each goal" {
    "$TOP/tests/bench/run" --quick --json --build "$(dirname "$BIDE")" \
        >"$BATS_TEST_TMPDIR/report.json"
    python3 - "$BATS_TEST_TMPDIR/report.json" <<'END'
import json
import sys

with open(sys.argv[1]) as file:
    report = json.load(file)
rows = [row for section in report["sections"] for row in section["rows"]]
assert all(row["value"] >= 0 and row["unit"] for row in rows), rows
goals = [row for row in rows if row["goal"]]
assert all(row["met"] in (True, False) for row in goals), goals
assert all(row["met"] is None for row in rows if not row["goal"]), rows
words = " ".join(row["name"] for row in goals)
for promise in ("bide_run", "BIDE_TRY", "policies", "1 sleeper", "20 sleepers",
                "2,000 new policies", "first decision"):
    assert promise in words, promise
END
}

@test "an unknown option is refused" {
    run "$TOP/tests/bench/run" --fast
    [ "$status" -eq 2 ]
}

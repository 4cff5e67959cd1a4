#!/usr/bin/env bats
# export --json, and its JSON Schema.
load ../registry

DIST=$BATS_TEST_DIRNAME/../../../cli/dist

# fits FILE: checks a file by the schema; prints what is wrong.
fits() {
    python3 - "$DIST/export.schema.json" "$1" <<'END'
import json, sys
import jsonschema
schema, found = (json.load(open(p)) for p in sys.argv[1:])
jsonschema.Draft202012Validator.check_schema(schema)
wrong = list(jsonschema.Draft202012Validator(schema).iter_errors(found))
for e in wrong: print(list(e.path), e.message)
sys.exit(bool(wrong))
END
}

needs_jsonschema() {
    python3 -c 'import jsonschema' 2>/dev/null || skip "needs the package python3-jsonschema"
}

@test "export --json has the base with typed values, its version and its layers" {
    printf '[base]\nattempts = unlimited\nwait_factor = 1.5\npaused = yes\nwait_initial = 1500us\nretry_on = http.503, timeout\nwait = chain\nwait_chain = 1s x3, 5s\nwarn_failed_rate = 5%%\nbudget_capacity = 500\n[pay]\nextends = base\nattempts = 4\n' >shop.ini
    bide apply shop.ini --note first >/dev/null
    bide set pay attempts=9 --for 1h --note hot >/dev/null
    gives 0 bide export --json
    json '[p["policy"] for p in j["policies"]] == ["base", "pay"]'
    json 'j["policies"][0]["keys"] == {"attempts": "unlimited", "wait_factor": 1.5, "paused": True, "wait_initial": "1.5ms", "retry_on": ["timeout", "http.503"], "wait": "chain", "wait_chain": ["1s x3", "5s"], "warn_failed_rate": "5%", "budget_capacity": 500}'
    json 'j["policies"][1]["keys"] == {"extends": "base", "attempts": 4}'
    json '[(l["version"], l["note"], l["keys"]) for l in j["policies"][1]["layers"]] == [(2, "hot", {"attempts": "9"})]'
    json '[(p["version"], p["note"]) for p in j["policies"]] == [(1, "first"), (2, "hot")]'
    gives 0 bide export pay --json
    json 'len(j["policies"]) == 1'
    gives 3 bide export pay none --json
    says_not "{"
}

@test "the schema is made from the table of keys" {
    "$BIDE" help keys --json | "$DIST/../man/schema" | diff - "$DIST/export.schema.json"
}

@test "exports of all policies of the tree, and of every kind of value, fit the schema" {
    needs_jsonschema
    for file in "$DIST"/../../policies/*.ini; do
        bide apply "$file" >/dev/null
        bide export --json >all.json
        fits all.json
    done
    printf '[all]\nwait_jitter = +1s\nbudget = shared\nbudget_refill = 0.5/s\nbudget_min_rate = 10/s\nbreaker_window = 100 calls\ndefer_jitter = 20%%\ndescription = one\ndeadline = none\nnever_on = none\n' >all.ini
    bide apply all.ini >/dev/null
    bide set all deadline=1m --for 1h >/dev/null
    bide export --json >all.json
    fits all.json
}

@test "the schema refuses what is no export" {
    needs_jsonschema
    printf '[pay]\nattempts = 4\nwait_initial = 100ms\n' >pay.ini
    bide apply pay.ini >/dev/null
    bide export --json >good.json
    fits good.json
    for change in 's/"attempts":4/"attempts":0/' 's/"attempts":4/"attempts":"4"/' \
        's/"100ms"/"100"/' 's/"attempts"/"atempts"/' 's/"version":1,//' 's/"pay"/"Pay"/'; do
        sed "$change" good.json >bad.json
        run fits bad.json
        [ "$status" -ne 0 ] || { echo "accepted after $change"; false; }
    done
}

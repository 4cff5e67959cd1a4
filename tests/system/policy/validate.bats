#!/usr/bin/env bats
# validate --json: each fault with its place, rule and suggestion.
load ../registry

# faults FIELD...: these fields of each fault of the JSON in $output, a line each
faults() {
    python3 -c 'import json, sys
for f in json.loads(sys.argv[1])["faults"]: print(*(f[k] for k in sys.argv[2:]))' "$output" "$@"
}

@test "validate --json gives file, line, column, rule, key and suggestion" {
    printf '[pay]\nwait_initial =  100\natempts = 3\n[Bad]\n' >bad.ini
    gives 5 bide validate bad.ini --json
    json 'j["valid"] is False'
    [ "$(faults file line column rule key replacement)" = "bad.ini 2 17 value wait_initial 100ms
bad.ini 3 1 unknown-key None attempts
bad.ini 4 1 name None [bad]" ]
    json 'j["faults"][0]["suggestion"] == "did you mean 100ms?"'
    gives 5 bide validate bad.ini nofile.ini bad.ini --json
    json '[f["line"] for f in j["faults"]] == [2, 3, 4, None, 2, 3, 4]'
    json '(j["faults"][3]["rule"], j["faults"][3]["column"]) == ("file", None)'
}

@test "validate --json points at one item of a list, also on a later line" {
    printf '[pay]\nretry_on = any, htp.429,\n  timeout, nonsense\n' >list.ini
    gives 5 bide validate list.ini --json
    [ "$(faults line column rule key)" = "2 17 value retry_on
3 12 value retry_on" ]
}

@test "validate --json has the rules of keys that are checked against each other" {
    printf '[a]\nwait_min =   10s\nwait_max = 5s\n[b]\nextends =  zz\n[c]\nbudget = g\n[d]\nbudget=g\nbudget_capacity = 6\n' >pair.ini
    gives 5 bide validate pair.ini --json
    [ "$(faults line column rule key)" = "2 14 conflict wait_min
5 12 extends extends
10 19 group budget_capacity" ]
}

@test "validate --json accepts a file with warnings, with or without a registry" {
    printf '[pay]\nwait_max = 1ms\n' >pay.ini
    for dir in "$DIR" "$T/none"; do
        gives 0 "$BIDE" --dir "$dir" validate pay.ini --json
        json 'j["valid"] is True and (j["files"], j["policies"]) == (1, 1)'
        [ "$(faults severity rule key line column)" = "warning conflict wait_max 2 12" ]
    done
    printf '[pay]\nattempts = 3\n' >pay.ini
    gives 0 bide validate pay.ini --json
    json 'j["faults"] == []'
}

@test "validate --json of standard input has lines and columns too" {
    gives 5 bash -c 'printf "[pay]\nattempts = x\n" | "$BIDE" validate - --json'
    [ "$(faults file line column rule)" = "- 2 12 value" ]
}

@test "apply --json gives what was changed, or each fault and its place" {
    printf '[pay]\nwait_max = 1ms\n' >pay.ini
    gives 0 bide apply pay.ini --json
    json '[(p["policy"], p["did"], p["version"]) for p in j["policies"]] == [("pay", "created", 1)]'
    [ "$(faults severity line column rule)" = "warning 2 12 conflict" ]
    [[ $output != *"bide: "* ]]
    printf '[pay]\nattempts = 2x\n' >pay.ini
    unchanged gives 5 bide apply pay.ini --json
    json 'j["valid"] is False'
    [ "$(faults line column rule key)" = "2 12 value attempts" ]
    printf '[pay]\nextends = none.such\n' >pay.ini # found only by the registry
    unchanged gives 5 bide apply pay.ini --json
    [ "$(faults line column rule key)" = "2 11 extends extends" ]
}

@test "bide(1) names every rule of a fault" {
    for rule in $(sed -n 's/^ *X([A-Z_]*, "\(.*\)").*/\1/p' "$BATS_TEST_DIRNAME/../../../lib/policy/fault.h"); do
        grep -q "^\.B ${rule//-/\\\\-}\$" "$BATS_TEST_DIRNAME/../../../cli/man/bide.1" || { echo "$rule"; false; }
    done
}

@test "validate --json is JSON for any bytes, also of 10,000 faulty policies" {
    printf '[pay]\nattempts = \033[2J\n' >control.ini
    printf '[pay]\nattempts = \377\n' >bytes.ini
    printf '' >empty.ini
    gives 5 bide validate control.ini bytes.ini empty.ini --json
    json '[f["file"] for f in j["faults"]][:2] == ["control.ini", "bytes.ini"]'
    [[ $output != *$'\033'* ]]
    for ((i = 0; i < 10000; i++)); do printf '[p%d]\natempts = 1\n' $i; done >many.ini
    gives 5 bide validate many.ini --json
    json '(len(j["faults"]), j["faults"][998]["line"]) == (1000, 1998)' # as validate prints
    json 'j["faults"][999]["what"].startswith("more errors follow")'
    bide validate many.ini --json | head -c 10 >/dev/null
}

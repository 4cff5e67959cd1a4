#!/usr/bin/env bats
# validate --json: each fault with its place, rule and suggestion.
load ../registry

@test "validate --json gives file, line, column, rule and suggestion" {
    printf '[pay]\nwait_initial =  100\natempts = 3\n[Bad]\n' >bad.ini
    gives 5 bide validate bad.ini --json
    json 'j["valid"] is False'
    json '[(f["file"], f["line"], f["column"], f["rule"]) for f in j["faults"]] == [("bad.ini", 2, 17, "wait_initial"), ("bad.ini", 3, 1, "unknown-key"), ("bad.ini", 4, 1, "section")]'
    json '[f["replacement"] for f in j["faults"]] == ["100ms", "attempts", "[bad]"]'
    json 'j["faults"][0]["suggestion"] == "did you mean 100ms?"'
    gives 5 bide validate bad.ini nofile.ini bad.ini --json
    json '[f["line"] for f in j["faults"]] == [2, 3, 4, None, 2, 3, 4]'
    json 'j["faults"][3]["rule"] == "file" and j["faults"][4]["column"] == 17'
}

@test "validate --json accepts a file with warnings, with or without a registry" {
    printf '[pay]\nwait_max = 1ms\n' >pay.ini
    for dir in "$DIR" "$T/none"; do
        gives 0 "$BIDE" --dir "$dir" validate pay.ini --json
        json 'j["valid"] is True and (j["files"], j["policies"]) == (1, 1)'
        json '[(f["severity"], f["rule"], f["line"], f["column"]) for f in j["faults"]] == [("warning", "wait_max", 2, 12)]'
    done
    printf '[pay]\nattempts = 3\n' >pay.ini
    gives 0 bide validate pay.ini --json
    json 'j["faults"] == []'
}

@test "validate --json of standard input has no column" {
    gives 5 bash -c 'printf "[pay]\nattempts = x\n" | "$BIDE" validate - --json'
    json '[(f["file"], f["line"], f["column"], f["rule"]) for f in j["faults"]] == [("-", 2, None, "attempts")]'
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

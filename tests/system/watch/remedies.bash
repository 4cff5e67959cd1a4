# shellcheck shell=bash disable=SC2154 # run sets output
# Faults, and the commands that doctor prints for them.

live_file() {
    echo "$T"/live/*.live
}

# finding WORDS: sets $command to that of the finding whose text has the words;
# fails unless doctor reports one and does not say that nothing is wrong.
finding() {
    gives_fault "$DOCTOR_STATUS" || return 1
    command=$(python3 -S -c 'import json, sys
found = [f for f in json.load(sys.stdin)["findings"] if sys.argv[1] in f["what"]]
print(found[0]["command"] if found else "no finding: " + sys.argv[1])' "$1" <<<"$output")
    [[ $command != "no finding"* ]] || {
        echo "$command"
        echo "$output"
        return 1
    }
}

gives_fault() {
    run --separate-stderr bide doctor --json
    [ "$status" -eq "${1:-1}" ] || {
        echo "doctor exits with $status, not ${1:-1}"
        echo "$output$stderr"
        return 1
    }
}

# mends WORDS: as finding; then runs the command elsewhere, as an operator would,
# after which doctor finds no fault.
mends() {
    finding "$1" || return 1
    [ -n "$command" ] || {
        echo "no command for: $1"
        return 1
    }
    (cd / && PATH=$(dirname "$BIDE"):$PATH bash -euc "$command" >/dev/null) || {
        echo "failed: $command"
        return 1
    }
    # The next service makes the live file that the command moved away.
    run bide doctor
    [[ $output != *".live was removed"* ]] || bide exec mail -- true
    gives 0 bide doctor && says "Nothing is wrong"
}

# poke FILE OFFSET HEX: overwrites bytes of the file.
poke() {
    python3 -S - "$1" "$2" "$3" <<'END'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    f.write(bytes.fromhex(sys.argv[3]))
END
}

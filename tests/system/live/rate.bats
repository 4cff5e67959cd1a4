#!/usr/bin/env bats
# The command for rates that processes share, and rates in simulations.
load ../registry

rates() {
    cat >rates.ini <<'END'
[pay]
rate = gateway
rate_limit = 2/h
rate_burst = 2
rate_reserve = 50%

[mail]
extends = pay
importance = optional

[own]
rate = own
rate_limit = 90/m

[learn]
rate = own
rate_adapt = cubic
rate_limit = 1000000/s
retry_after_holds = all

[plain]
END
    bide apply rates.ini >/dev/null
}

@test "policies share a rate, its reserve is for mandatory ones" {
    rates
    gives 0 bide exec mail -- true
    gives 75 bide exec mail -- true
    says "bide: exec mail: refused: rate"
    gives 0 bide exec pay -- true
    gives 75 bide exec pay -- true
    gives 0 bide rate pay
    says "pay: rate gateway; up to 2/h, 2 at once; 50% for mandatory policies only" "shared by mail, pay"
    [[ ${lines[3]} =~ ^-\ +2/h\ +0\ of\ 2\ +-\ +1$ ]]
    gives 0 bide rate mail --json
    json 'j["group"] == "gateway" and j["members"] == ["mail", "pay"]'
    json 'j["scopes"][0]["rate"]["burst"] == 2 and j["scopes"][0]["rate"]["tokens"] < 1'
    gives 0 bide rate pay reset
    says "pay: full, was at 0 of 2"
    gives 0 bide exec mail -- true
}

@test "each scope has its own rate" {
    rates
    gives 0 bide exec own --scope eu -- true
    gives 75 bide exec own --scope eu -- true
    gives 0 bide exec own --scope us -- true
    gives 0 bide rate own --scope eu
    [[ ${lines[2]} =~ ^eu\ +1\.5/s\ +0\ of\ 1\ +-\ +1$ ]]
    [ ${#lines[@]} -eq 3 ]
    gives 0 bide rate own --json
    json '{s["scope"]: s["rate"]["per_second"] for s in j["scopes"]} == {"eu": 1.5, "us": 1.5}'
    gives 2 bide rate pay --scope eu
    says "bide: --scope: rate gateway is shared by all scopes"
}

@test "a rate that has learned nothing limits nothing" {
    rates
    gives 0 bide exec learn -- true
    gives 0 bide rate learn
    says "learn: a rate of its own; up to 1000000/s, at least 30/m, lowered by throttle outcomes; a server's wait holds all calls"
    [[ ${lines[2]} =~ ^-\ +-\ +-\ +-\ +0$ ]]
    gives 0 bide rate learn --json
    json 'j["scopes"][0]["rate"]["per_second"] is None and not j["scopes"][0]["rate"]["learned"]'
}

@test "a policy without a rate has none" {
    rates
    gives 1 bide rate plain
    says "bide: plain: the policy has no rate" "bide: to give it one: bide set plain rate=own"
    gives 3 bide rate plan
    gives 2 bide rate pay fill
}

@test "simulate: calls wait for their turns, changes move them, a hint holds all" {
    cat >p.ini <<'END'
[p]
attempts = 2
wait = fixed
wait_initial = 100ms
wait_jitter = none
rate = own
rate_limit = 10/s
rate_wait = 1s
retry_after_holds = all
END
    cat >script <<'END'
0 a http.503+5ms ok+5ms
0 b ok+5ms
0 c ok+5ms
1s d http.429+5ms;after=2s ok+5ms
1100ms e ok+5ms
1100ms f ok+5ms
1200ms set rate_limit=100/s
END
    # shellcheck disable=SC2034 # read by json
    output=$(bide simulate p.ini --script script --random 0.5 --json | sed '1s/^/[/;$!s/$/,/;$s/$/]/')
    json '[(e["call"], e["t_ms"]) for e in j if e["says"] == "go"] == list(zip("abcaddef", [0, 100, 200, 300, 1000, 3005, 3025, 3035]))'
    sed -i '/^rate_wait/d' p.ini
    output=$(bide simulate p.ini --script script --random 0.5 --json | sed '1s/^/[/;$!s/$/,/;$s/$/]/')
    json '[(e["call"], e["reason"]) for e in j if e["says"] == "refused"] == [("b", "rate"), ("c", "rate")]'
}

@test "simulate: a drawn load gets the rate, and no more" {
    printf '[p]\nrate = own\nrate_limit = 50/s\nrate_wait = 1s\n' >p.ini
    gives 0 bide simulate p.ini --calls 100/s --fail 0% --for 20s --json
    json '1000 <= j["runs"][0]["attempts"] <= 1052 and j["runs"][0]["verdicts"]["refused"] > 800'
}

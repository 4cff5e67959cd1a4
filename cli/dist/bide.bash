# bash completion for bide.  cli/man/renew writes what is between the marks.
# shellcheck shell=bash

# Adds the words that begin with what was typed.
_bide_words() {
    local found
    mapfile -t found < <(compgen -W "$1" -- "$cur")
    COMPREPLY+=("${found[@]}")
}

_bide_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

# bash splits KEY=VALUE at the =.
_bide_keys_to_set() {
    if [ "$cur" = = ]; then
        cur=''
        _bide_values "${COMP_WORDS[COMP_CWORD - 1]}"
    elif [ "${COMP_WORDS[COMP_CWORD - 1]}" = = ]; then
        _bide_values "${COMP_WORDS[COMP_CWORD - 2]}"
    else
        _bide_words "$_bide_keys"
        compopt -o nospace 2>/dev/null
        COMPREPLY=("${COMPREPLY[@]/%/=}")
    fi
}

_bide_names_then_commands() {
    if [ "$place" -eq 0 ] && [ "$command" != try ]; then
        _bide_names
    else
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    fi
}

# tables begin
# What both shells share.  They define _bide_words, _bide_files and _bide_keys_to_set.

_bide_ask() {
    if [ -n "$dir" ]; then bide --dir "$dir" "$@" 2>/dev/null; else bide "$@" 2>/dev/null; fi
}

_bide_names() {
    _bide_words "$(_bide_ask export | sed -n 's/^\[\(.*\)\]$/\1/p')"
}

_bide_names_then_keys() {
    if [ "$place" -eq 0 ]; then
        _bide_names
    elif [ "$command" = set ]; then
        _bide_keys_to_set
    else
        _bide_words "$_bide_keys"
    fi
}

_bide_names_then_states() {
    if [ "$place" -eq 0 ]; then
        _bide_names
    elif [ "$command" = breaker ]; then
        _bide_words 'open closed auto reset'
    else
        _bide_words reset
    fi
}

_bide_versions() {
    _bide_words "$(_bide_ask log "$name" --json | grep -o '"version":[0-9]*' | sed 's/.*://')"
}

_bide_names_then_versions() {
    if [ "$place" -eq 0 ]; then _bide_names; else _bide_versions; fi
}

_bide_names_or_files() {
    _bide_files
    _bide_names
}

_bide_names_then_settings() {
    if [ "$place" -eq 0 ]; then
        _bide_names_or_files
    elif [ "$command" = diff ]; then
        _bide_versions
    else
        _bide_keys_to_set
    fi
}

_bide_first_words() {
    echo "$_bide_commands" | tr ' ' '\n' | sed 's/\..*//' | uniq
}

_bide_first() {
    _bide_words "$(_bide_first_words)"
}

_bide_second() {
    _bide_words "$(echo "$_bide_commands" | tr ' ' '\n' | sed -n "s/^$command\.//p")"
}

_bide_topics() {
    _bide_words "keys outcomes $(_bide_first_words) $_bide_keys"
}

# Offers what the option $1 takes.
_bide_option_values() {
    case $1 in
    --dir | --live | --output | --script) _bide_files ;;
    --version | --layer | --if-version) _bide_versions ;;
    --scope) _bide_words "$(_bide_ask stats "$name" --json |
        grep -o '"scope":"[^"@]*"' | sed 's/.*:"\(.*\)"/\1/')" ;;
    --sort) _bide_words 'failed calls retries p95 name' ;;
    --kind) _bide_words 'change forced breaker warning host work calls' ;;
    --by) [ "$command" = log ] || _bide_words 'minute hour version scope policy' ;;
    esac
}

# Looks at the words between bide and the cursor.
_bide_look() {
    local word
    for word in "$@"; do
        if [ -n "$option" ]; then
            [ "$option" = --dir ] && dir=$word
            option=''
            continue
        fi
        case $_bide_valued in
        *" $word "*) option=$word && continue ;;
        esac
        case $word in
        -*) continue ;;
        esac
        case " $_bide_commands" in
        *" $command."*) [ -n "$command" ] && command="$command $word" && place=0 && continue ;;
        esac
        if [ -z "$command" ]; then
            command=$word
            place=0
        else
            place=$((place + 1))
            [ "$place" -gt 1 ] || name=$word
        fi
    done
}

# Offers words for $cur, after _bide_look.
_bide_offer() {
    local options operands
    if [ -n "$option" ]; then
        _bide_option_values "$option"
        return
    fi
    case " $_bide_commands" in
    *" ${command:-?}."*)
        options='--help'
        operands=_bide_second
        ;;
    *) _bide_choose ;; # sets options and operands
    esac
    case $cur in
    -*) _bide_words "$options" ;;
    *) "$operands" ;;
    esac
}

_bide_values() {
    case $1 in
    importance) _bide_words 'mandatory postponable optional' ;;
    paused) _bide_words 'yes no' ;;
    attempts) _bide_words 'unlimited' ;;
    max_elapsed) _bide_words 'none' ;;
    deadline) _bide_words 'none' ;;
    attempt_timeout) _bide_words 'none' ;;
    reset_after) _bide_words 'none' ;;
    wait) _bide_words 'none fixed linear polynomial exponential decorrelated chain' ;;
    wait_max_holds) _bide_words 'result base' ;;
    retry_after) _bide_words 'honor clamp cap ignore' ;;
    retry_after_growth) _bide_words 'counts skips resets' ;;
    retry_after_max) _bide_words 'none' ;;
    retry_after_holds) _bide_words 'call all' ;;
    budget_kind) _bide_words 'tokens ratio' ;;
    budget_charge) _bide_words 'retry failure' ;;
    budget_earn) _bide_words 'all success' ;;
    breaker) _bide_words 'off on open closed' ;;
    breaker_consecutive) _bide_words 'none' ;;
    breaker_slow_after) _bide_words 'none' ;;
    breaker_judge) _bide_words 'always failure' ;;
    breaker_probe_failures) _bide_words 'none' ;;
    rate_adapt) _bide_words 'none aws cubic' ;;
    hedge_after) _bide_words 'none' ;;
    defer_expire) _bide_words 'none' ;;
    defer_attempts) _bide_words 'unlimited' ;;
    warn_retry_rate) _bide_words 'none' ;;
    warn_failed_rate) _bide_words 'none' ;;
    warn_p95) _bide_words 'none' ;;
    warn_breaker) _bide_words 'none' ;;
    crit_retry_rate) _bide_words 'none' ;;
    crit_failed_rate) _bide_words 'none' ;;
    crit_p95) _bide_words 'none' ;;
    crit_breaker) _bide_words 'none' ;;
    extends) _bide_names ;;
    esac
}

# Commands of two words have a point between them.
_bide_commands='init apply validate export list show get set unset edit copy rename delete log rollback diff backup restore preview simulate calls wake breaker budget rate limit pause resume top stats record audit check metrics serve doctor deferred.put deferred.list deferred.show deferred.stats deferred.requeue deferred.drop deferred.repair deferred.replay deferred.work exec outcome try fleet.join fleet.leave fleet.push fleet.releases fleet.diff fleet.rollout fleet.pause fleet.resume fleet.abort fleet.status fleet.hosts fleet.follow help version'
_bide_keys='description extends importance paused attempts max_elapsed deadline attempt_timeout reset_after useful_time wait wait_initial wait_min wait_max wait_max_holds wait_factor wait_increment wait_power wait_chain wait_jitter free_retries retry_after retry_after_growth retry_after_max retry_after_spread retry_after_holds retry_on never_on success_on throttle_on throttle_wait_initial throttle_wait_max budget budget_kind budget_capacity budget_cost budget_timeout_cost budget_throttle_cost budget_charge budget_deposit budget_refund budget_refill budget_threshold budget_reserve budget_ratio budget_earn budget_min_rate budget_window breaker breaker_failure_rate breaker_consecutive breaker_slow_after breaker_slow_rate breaker_judge breaker_ignore breaker_window breaker_min_calls breaker_min_processes breaker_open_for breaker_open_factor breaker_open_max breaker_probes breaker_probe_failures breaker_probe_timeout breaker_wait breaker_ramp limit limit_places limit_wait limit_reserve rate rate_limit rate_burst rate_wait rate_reserve rate_adapt rate_min hedge_after hedge_max defer_wait defer_wait_max defer_jitter defer_expire defer_attempts defer_max defer_lease warn_retry_rate warn_failed_rate warn_p95 warn_breaker crit_retry_rate crit_failed_rate crit_p95 crit_breaker warn_window warn_min_calls'
# Options that take a value.
_bide_valued=' --dir --version --live --group --operators --note --if-version --for --layer --since --until --by --kind --every --on-change --keep-minutes --keep-hours --keep-size --attempts --policy --script --random --calls --fail --outcome --latency --fail-latency --after --retry-after --wait --max --jitter --timeout --deadline --success-on --scope --seed --error --exec --jobs --type --key --keep-env --as --sort --most --listen --output --name --prefix --label --local --cacert --cert --token-file --hosts --percent --then --guard --tolerate '

_bide_choose() {
    case $command in
    'init')
        options='--live --group --operators --private --public --journal --no-journal --adopt --dir --help'
        operands=:
        ;;
    'apply')
        options='--prune --dry-run --preview --note --if-version --for --verbose --json --dir --help'
        operands=_bide_files
        ;;
    'validate')
        options='--json --dir --help'
        operands=_bide_files
        ;;
    'export')
        options='--json --dir --help'
        operands=_bide_names
        ;;
    'list')
        options='--json --sort --all --scopes --watch --dir --help'
        operands=_bide_names
        ;;
    'show')
        options='--version --resolved --declared --json --dir --help'
        operands=_bide_names
        ;;
    'get')
        options='--dir --help'
        operands=_bide_names_then_keys
        ;;
    'set')
        options='--dry-run --preview --note --if-version --for --json --dir --help'
        operands=_bide_names_then_keys
        ;;
    'unset')
        options='--dry-run --preview --note --if-version --for --json --dir --help'
        operands=_bide_names_then_keys
        ;;
    'edit')
        options='--note --if-version --json --dir --help'
        operands=_bide_names
        ;;
    'copy')
        options='--dry-run --note --if-version --json --dir --help'
        operands=_bide_names
        ;;
    'rename')
        options='--dry-run --note --if-version --json --force --dir --help'
        operands=_bide_names
        ;;
    'delete')
        options='--dry-run --note --if-version --json --dir --help'
        operands=_bide_names
        ;;
    'log')
        options='--since --by --patch --json --most --dir --help'
        operands=_bide_names
        ;;
    'rollback')
        options='--dry-run --preview --note --if-version --for --layer --json --dir --help'
        operands=_bide_names_then_versions
        ;;
    'diff')
        options='--dir --help'
        operands=_bide_names_then_settings
        ;;
    'backup')
        options='--dir --help'
        operands=_bide_files
        ;;
    'restore')
        options='--force --dir --help'
        operands=_bide_files
        ;;
    'preview')
        options='--attempts --json --policy --dir --help'
        operands=_bide_names_then_settings
        ;;
    'simulate')
        options='--for --since --until --json --policy --script --random --calls --fail --outcome --latency --fail-latency --replay --scope --seed --dir --help'
        operands=_bide_names_then_settings
        ;;
    'calls')
        options='--json --watch --most --dir --help'
        operands=:
        ;;
    'wake')
        options='--dry-run --json --scope --dir --help'
        operands=_bide_names
        ;;
    'breaker')
        options='--dry-run --note --if-version --for --json --scope --dir --help'
        operands=_bide_names_then_states
        ;;
    'budget')
        options='--json --scope --dir --help'
        operands=_bide_names_then_states
        ;;
    'rate')
        options='--json --scope --dir --help'
        operands=_bide_names_then_states
        ;;
    'limit')
        options='--json --scope --dir --help'
        operands=_bide_names_then_states
        ;;
    'pause')
        options='--dry-run --note --if-version --for --json --dir --help'
        operands=_bide_names
        ;;
    'resume')
        options='--dry-run --note --if-version --for --json --dir --help'
        operands=_bide_names
        ;;
    'top')
        options='--dir --help'
        operands=_bide_names
        ;;
    'stats')
        options='--since --until --by --csv --json --watch --dir --help'
        operands=_bide_names
        ;;
    'record')
        options='--verbose --every --on-change --keep-minutes --keep-hours --keep-size --dir --help'
        operands=:
        ;;
    'audit')
        options='--verbose --since --until --kind --csv --json --follow --dir --help'
        operands=_bide_names
        ;;
    'check')
        options='--json --dir --help'
        operands=_bide_names
        ;;
    'metrics')
        options='--output --dir --help'
        operands=:
        ;;
    'serve')
        options='--listen --dir --help'
        operands=:
        ;;
    'doctor')
        options='--keep-size --json --as --dir --help'
        operands=:
        ;;
    'deferred put')
        options='--type --key --dir --help'
        operands=_bide_names
        ;;
    'deferred list')
        options='--since --until --json --dead --error --dir --help'
        operands=_bide_names
        ;;
    'deferred show')
        options='--json --raw --dir --help'
        operands=:
        ;;
    'deferred stats')
        options='--json --dir --help'
        operands=_bide_names
        ;;
    'deferred requeue')
        options='--note --since --until --dead --error --dir --help'
        operands=_bide_names
        ;;
    'deferred drop')
        options='--note --since --until --dead --error --dir --help'
        operands=_bide_names
        ;;
    'deferred repair')
        options='--dir --help'
        operands=:
        ;;
    'deferred replay')
        options='--note --verbose --since --until --json --success-on --error --exec --jobs --until-empty --output --dir --help'
        operands=_bide_names
        ;;
    'deferred work')
        options='--verbose --json --success-on --jobs --until-empty --output --dir --help'
        operands=_bide_names
        ;;
    'exec')
        options='--verbose --success-on --scope --stdin --quiet --seed --defer --keep-env --output --dir --help'
        operands=_bide_names_then_commands
        ;;
    'outcome')
        options='--after --retry-after --dir --help'
        operands=:
        ;;
    'try')
        options='--verbose --wait --max --jitter --timeout --deadline --success-on --stdin --quiet --seed --output --dir --help'
        operands=_bide_names_then_commands
        ;;
    'fleet join')
        options='--key --name --prefix --label --local --cacert --cert --token-file --dir --help'
        operands=:
        ;;
    'fleet leave')
        options='--dir --help'
        operands=:
        ;;
    'fleet push')
        options='--dry-run --note --json --dir --help'
        operands=_bide_files
        ;;
    'fleet releases')
        options='--json --dir --help'
        operands=:
        ;;
    'fleet diff')
        options='--json --dir --help'
        operands=:
        ;;
    'fleet rollout')
        options='--note --every --json --label --hosts --percent --then --guard --tolerate --dir --help'
        operands=:
        ;;
    'fleet pause')
        options='--note --json --dir --help'
        operands=:
        ;;
    'fleet resume')
        options='--note --json --dir --help'
        operands=:
        ;;
    'fleet abort')
        options='--note --json --dir --help'
        operands=:
        ;;
    'fleet status')
        options='--json --dir --help'
        operands=:
        ;;
    'fleet hosts')
        options='--json --dir --help'
        operands=_bide_names
        ;;
    'fleet follow')
        options='--dir --help'
        operands=:
        ;;
    'help')
        options='--json --dir --help'
        operands=_bide_topics
        ;;
    'version')
        options='--dir --help'
        operands=:
        ;;
    *)
        options='--dir --help --version'
        operands=_bide_first
        ;;
    esac
}
# tables end

_bide() {
    local cur=${COMP_WORDS[COMP_CWORD]} command='' dir='' place=-1 name='' option=''
    COMPREPLY=()
    _bide_look "${COMP_WORDS[@]:1:COMP_CWORD-1}"
    _bide_offer
}

complete -F _bide bide

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


# SPDX-License-Identifier: MIT
# For test scripts in bash: TAP, and limits that stretch under load (start.py). `. tap.sh` brings the script, also when it is
# started alone, into the surroundings that tests count on; a folder `$work` of its own goes with it. `finish` ends it.
tests=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
[ -n "${TESTS_SETTLED:-}" ] || exec "$tests/start.py" --whole 3600 "$(readlink -f "$0")" "$@"
set -u
export tests MYALLOC_BUILD=${MYALLOC_BUILD:-$(readlink -f "$tests/../build")}
number=0 failures=0
long= # whether the run in whole is asked for, instead of the short version
[ "${!#}" != --long ] || long=yes
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

result() { # STATUS NAME [DETAIL]
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - $2"
    else
        failures=$((failures + 1))
        echo "not ok $number - $2"
        [ -z "${3:-}" ] || echo "$3" | head -20 | sed 's/^/# /'
    fi
}

skip() { # NAME REASON
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null && return 0
    result 1 "$1 is installed" "apt-get install $2"
    return 1
}

limit() { # SECONDS COMMAND...: 124 when its time is up
    "$tests/start.py" "$@"
}

given() { # milliseconds that the machine has given to this script, by the clock of start.py
    local now=
    [ -z "${TESTS_CLOCK:-}" ] || read -r now < "$TESTS_CLOCK"
    echo $((10#${now:-$((${EPOCHREALTIME/[.,]/} / 1000))}))
}

await() { # SECONDS COMMAND...: tries it until it succeeds or the time is up
    local until=$(($(given) + $1 * 1000))
    shift
    while ! "$@"; do
        [ "$(given)" -lt $until ] || return 1
        sleep 0.1
    done
}

settings() { # the compilers and flags of the build, a line each, as arguments for `make`, lest it is built anew with others
    sed -n '/^#/!s/^ *//p' "$MYALLOC_BUILD/flags"
}

finish() {
    echo "1..$number"
    [ "$failures" = 0 ]
    exit
}
export -f limit given await

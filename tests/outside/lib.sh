# SPDX-License-Identifier: MIT
# For tests/outside/*.test: runs real programs with and without the preload and compares what they print.
# MYALLOC_LIB names another library to preload. `same NAME COMMAND...` is one test; `finish` ends the script.
set -u
lib=${MYALLOC_LIB:-$MYALLOC_BUILD/libmyalloc.so}
number=0 failures=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
# What a program does must not depend on who runs it.
export HOME=$work LC_ALL=C.UTF-8 TZ=UTC
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

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

need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null && return 0
    result 1 "$1 is installed" "apt-get install $2"
    return 1
}

with() { # COMMAND...: under the library
    LD_PRELOAD=$lib timeout -k 5 200 "$@"
}

same() { # NAME COMMAND...: output and exit status equal with and without the library
    local name=$1 expected got
    shift
    expected=$(timeout -k 5 200 "$@" 2>&1 </dev/null; echo "status $?")
    got=$(with "$@" 2>&1 </dev/null; echo "status $?")
    case $expected in *"status 0") ;; *) result 1 "$name" "fails without the library: $expected"; return ;; esac
    [ "$expected" = "$got" ]
    result $? "$name" "expected: ${expected:0:500}
got: ${got:0:500}"
}

finish() {
    # A test that ran without the library would prove nothing.
    LD_PRELOAD=$lib grep -q "$(basename "$(readlink -f "$lib")")" /proc/self/maps
    result $? "the library was loaded"
    echo "1..$number"
    [ "$failures" = 0 ]
    exit
}

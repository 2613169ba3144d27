# SPDX-License-Identifier: MIT
# For tests/outside/*.test: runs real programs with and without the preload and compares what they print.
# MYALLOC_LIB names another library to preload. `same NAME COMMAND...` is one test; `finish` ends the script.
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../tap.sh"
lib=${MYALLOC_LIB:-$MYALLOC_BUILD/libmyalloc.so}
cd "$work" || exit 1
export HOME=$work

with() { # COMMAND...: under the library
    limit 200 env LD_PRELOAD="$lib" "$@"
}

same() { # NAME COMMAND...: output and exit status equal with and without the library
    local name=$1 expected got
    shift
    expected=$(limit 200 "$@" 2>&1 </dev/null; echo "status $?")
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

# shellcheck shell=bash
# What the protocol tests are written in. A test is a short script that sources this file:
#
#   pipe 'LIST' 'QUIT'               prints all that comes back when these lines are piped in
#   open ana                         connects; NAME is not sent
#   send ana 'LIST'                  types a line
#   sees ana 'OK LIST *'             the next line must be of this pattern; it is then in $line
#   ask ana 'LIST' 'OK LIST *'       types a line; its answer must be of this pattern; the data before it is in $data
#   leave ana                        QUIT, and the connection must end
#   has "$text" 'OK LIST *'          one of the lines must be of this pattern
#
# Environment: HOST and PORT of any server; NC, a netcat with the option that makes it end its side at the end of its input.
# $run is a word that no other run has, for names: the tests can be run again and again against one server.

set -euo pipefail

HOST=${1:-${HOST:-localhost}}
PORT=${2:-${PORT:-12000}}
PATIENCE=${PATIENCE:-20} # seconds until what does not come counts as never
export run=r${$}x$RANDOM
line=
data=()

find_netcat() {
    if command -v nc.openbsd >/dev/null; then
        echo nc.openbsd -N
    elif command -v ncat >/dev/null; then
        echo ncat
    elif command -v busybox >/dev/null; then
        echo busybox nc
    else
        echo nc -N
    fi
}
NC=${NC:-$(find_netcat)}
read -ra netcat <<<"$NC"

here=$(mktemp -d)
declare -A to from pid sent

cleanup() {
    [ -z "${pid[*]}" ] || kill "${pid[@]}" 2>/dev/null || true
    rm -rf "$here"
}
trap cleanup EXIT

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# A pattern as bash knows it, except that the star of an event is a star.
matches() {
    local pattern=$2
    [[ $pattern == '* '* ]] && pattern="\\$pattern"
    # shellcheck disable=SC2053 # it is a pattern
    [[ $1 == $pattern ]]
}

pipe() {
    printf '%s\n' "$@" | timeout "$PATIENCE" "${netcat[@]}" "$HOST" "$PORT"
}

open() {
    local who=$1 fd
    mkfifo "$here/$who.in" "$here/$who.out"
    (
        # A netcat must not hold the others' pipes open.
        for fd in "${to[@]}" "${from[@]}"; do exec {fd}>&-; done
        exec "${netcat[@]}" "$HOST" "$PORT" <"$here/$who.in" >"$here/$who.out"
    ) &
    pid[$who]=$!
    exec {fd}>"$here/$who.in"
    to[$who]=$fd
    exec {fd}<"$here/$who.out"
    from[$who]=$fd
    rm "$here/$who.in" "$here/$who.out"
    sees "$who" '* HELLO linechat/* 1 *:* *'
}

send() {
    sent[$1]=$2
    printf '%s\n' "$2" >&"${to[$1]}"
}

next() {
    local seen=$line
    IFS= read -r -t "$PATIENCE" -u "${from[$1]}" line || fail "$1 sees nothing more after '$seen'; sent last: ${sent[$1]:-nothing}"
}

sees() {
    next "$1"
    matches "$line" "$2" || fail "$1 sees '$line', not '$2'"
}

ask() {
    data=()
    send "$1" "$2"
    next "$1"
    while [[ $line == [-*]' '* ]]; do
        [[ $line == '* '* ]] || data+=("$line")
        next "$1"
    done
    matches "$line" "$3" || fail "$2 is answered '$line', not '$3'"
}

leave() {
    ask "$1" QUIT 'OK QUIT bye'
    hang_up "$1"
}

# Ends the input and waits for the netcat; what it still prints is thrown away.
hang_up() {
    local in=${to[$1]} out=${from[$1]}
    exec {in}>&-
    unset "to[$1]"
    timeout "$PATIENCE" cat <&"$out" >/dev/null || fail "the connection of $1 does not end"
    exec {out}<&-
    wait "${pid[$1]}" || true
    unset "from[$1]" "pid[$1]"
}

has() {
    local each
    while IFS= read -r each; do
        matches "$each" "$2" && return
    done <<<"$1"
    fail "no line is '$2' in:"$'\n'"$1"
}

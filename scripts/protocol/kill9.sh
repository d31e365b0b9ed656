#!/usr/bin/env bash
# kill -9 in the middle of a script's sending: after the restart nothing that was answered OK is lost, and sending everything
# again with the same keys stores the rest, and nothing twice. Starts its own server: scripts/protocol/kill9.sh LINECHAT
server=$1
. "$(dirname "$0")/lib.sh" 127.0.0.1
total=4000 # fewer than the keys that an account's server remembers

start() {
    rm -f "$here/greeting"
    "$server" serve --listen 127.0.0.1:0 --data-dir "$here/data" >"$here/greeting" 2>"$here/log" &
    pid[server]=$!
    until [ -s "$here/greeting" ]; do
        kill -0 "${pid[server]}" || fail "the server does not start: $(cat "$here/log")"
    done
    read -r _ _ _ _ PORT <"$here/greeting"
    PORT=${PORT##*:}
}

messages() {
    seq "$total" | sed 's/.*/SAY @key-& #k message &/'
    echo QUIT
}

start
{
    printf '%s\n' 'REGISTER robot correct horse battery' 'CREATE #k'
    messages
} | timeout "$PATIENCE" "${netcat[@]}" "$HOST" "$PORT" 2>/dev/null | tee "$here/answers" | {
    head -n 500 >/dev/null
    kill -9 "${pid[server]}"
    cat >/dev/null
} || true # a netcat may well complain
wait "${pid[server]}" || true
grep '^OK SAY' "$here/answers" | cut -d' ' -f3 >"$here/promised"
promised=$(wc -l <"$here/promised")
[[ $promised -gt 400 && $promised -lt $total ]] || fail "not killed in the middle: $promised answers"

# Everything that was said, page by page: seq and text.
history() {
    local last=0
    open reader
    ask reader 'LOGIN robot correct horse battery' 'OK LOGIN *'
    ask reader 'HISTORY #k 1000 since 0' 'OK HISTORY *'
    while [ ${#data[@]} -gt 0 ]; do
        printf '%s\n' "${data[@]}" | cut -d' ' -f3,7-
        read -r _ _ last _ <<<"${data[-1]}"
        ask reader "HISTORY #k 1000 since $last" 'OK HISTORY *'
    done
    leave reader
}

start
history >"$here/kept"
lost=$(cut -d' ' -f1 "$here/kept" | sort | comm -13 - <(sort "$here/promised"))
[ -z "$lost" ] || fail "answered OK and lost: $lost"

{
    echo 'LOGIN robot correct horse battery'
    messages
} | timeout "$PATIENCE" "${netcat[@]}" "$HOST" "$PORT" >"$here/again"
stored=$(grep -c '^OK SAY' "$here/again") again=$(grep -c '^OK SAY .* dup$' "$here/again")
[ "$stored" = $total ] || fail "of $total messages $stored were stored"
[ "$again" = "$(wc -l <"$here/kept")" ] || fail "$again were known, $(wc -l <"$here/kept") were kept"
[ "$(history | cut -d' ' -f2-)" = "$(seq -f 'message %g' $total)" ] || fail 'the history is not each message once, in order'
echo "$promised were answered OK before kill -9, $again were kept, $total are stored, each once"

#!/usr/bin/env bash
# Half-close: the end of input means that everything received is executed and answered; half a line never is.
. "$(dirname "$0")/lib.sh"

out=$(pipe "NAME ana-$run" WHOAMI)
has "$out" "OK NAME ana-$run:*"
[[ ${out##*$'\n'} == "OK WHOAMI ana-$run:"*' guest' ]] || fail "not everything was answered: $out"

out=$(printf 'PING whole\nPING half' | timeout "$PATIENCE" "${netcat[@]}" "$HOST" "$PORT")
has "$out" 'OK PING whole'
[[ ${out##*$'\n'} == 'ERR INCOMPLETE - '* ]] || fail "half a line: $out"
[[ $out != *'OK PING half'* ]] || fail 'half a line was executed'

# Ctrl-D at the start of a line is an end of input, even while the connection stays open.
open ana
printf 'PING last\n\004PING never\n' >&"${to[ana]}"
sees ana 'OK PING last'
hang_up ana

out=$(pipe '' '   ' 'PING empty lines do nothing' '')
has "$out" 'OK PING empty lines do nothing'

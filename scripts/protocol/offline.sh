#!/usr/bin/env bash
# Get my messages: what was sent to an account while it was away waits, in order, until it is acknowledged.
. "$(dirname "$0")/lib.sh"

out=$(pipe "REGISTER nina-$run correct horse battery" QUIT)
has "$out" "OK REGISTER nina-$run:*"
has "$out" 'OK QUIT bye'

out=$(pipe "MSG nina-$run one" "MSG nina-$run two" QUIT)
has "$out" 'OK MSG *'

open nina
ask nina "LOGIN nina-$run wrong horse battery" 'ERR LOGIN_FAILED LOGIN *'
ask nina "LOGIN nina-$run correct horse battery" "OK LOGIN nina-$run:* 2"
nina=${line#OK LOGIN } nina=${nina% 2}
for _ in 1 2; do # looking removes nothing
    ask nina INBOX 'OK INBOX 2 0'
    matches "${data[0]}" "- MSG * $nina guest-* one" || fail "first: ${data[0]}"
    matches "${data[1]}" "- MSG * $nina guest-* two" || fail "second: ${data[1]}"
done
read -r _ _ first _ <<<"${data[0]}"
ask nina "ACK $first" "OK ACK $first"
ask nina INBOX 'OK INBOX 1 0'
ask nina 'ACK *' 'OK ACK *'
ask nina INBOX 'OK INBOX 0 0'
leave nina

out=$(pipe "LOGIN nina-$run correct horse battery" INBOX QUIT)
has "$out" "OK LOGIN $nina 0"
has "$out" 'OK INBOX 0 0'

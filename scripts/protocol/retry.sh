#!/usr/bin/env bash
# Safe retries: with an @key a message is stored once, however often it is sent; with other content the key is refused.
. "$(dirname "$0")/lib.sh"
c="#k-$run"

out=$(pipe "REGISTER robot-$run correct horse battery" "CREATE $c" "SAY @build-1 $c build 1 passed" QUIT)
first=$(grep '^OK SAY ' <<<"$out")

# As if that answer had been lost: again, over a new connection.
open robot
ask robot "LOGIN robot-$run correct horse battery" 'OK LOGIN *'
ask robot "SAY @build-1 $c build 1 passed" "$first dup"
ask robot "MSG @build-1 $c build 1 passed" "OK MSG ${first#OK SAY } dup"
ask robot "SAY @build-1 $c build 1 failed" 'ERR KEY_REUSED SAY *'
ask robot "SAY @build-2 $c build 2 passed" 'OK SAY *'
[[ $line != *dup ]] || fail 'another key is another message'
ask robot "HISTORY $c" 'OK HISTORY 2'
ask robot "CLOSE $c" "OK CLOSE $c"
leave robot

# Keys are the sender's own: a guest may use the same.
open ana
ask ana "NAME ana-$run" 'OK NAME *'
ask ana "MSG @build-1 robot-$run build 1?" 'OK MSG *'
[[ $line != *dup ]] || fail 'a key belongs to its sender'
leave ana

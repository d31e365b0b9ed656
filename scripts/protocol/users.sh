#!/usr/bin/env bash
# Get the user list: everybody has an id from the server and a name, and LIST shows both.
. "$(dirname "$0")/lib.sh"

open ana
ask ana "NAME ana-$run" "OK NAME ana-$run:*"
ana=${line#OK NAME }
open bob
ask bob "NAME bob-$run" "OK NAME bob-$run:*"
bob=${line#OK NAME }

ask ana LIST 'OK LIST *'
count=${line#OK LIST }
[ "$count" -eq "${#data[@]}" ] || fail "OK says $count, but there are ${#data[@]} lines"
has "$(printf '%s\n' "${data[@]}")" "- USER $ana online ????-??-??T??:??:??.???Z"
has "$(printf '%s\n' "${data[@]}")" "- USER $bob online ????-??-??T??:??:??.???Z"

ask ana WHOAMI "OK WHOAMI $ana guest"
ask bob "NAME ANA-$run" 'ERR NAME_TAKEN NAME *'
leave ana
leave bob

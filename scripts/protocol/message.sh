#!/usr/bin/env bash
# Send a message: to a name, to an id or to both; OK means stored, and nobody is told "sent" about a message to no one.
. "$(dirname "$0")/lib.sh"

open ana
ask ana "NAME ana-$run" 'OK NAME *'
ana=${line#OK NAME }
open bob
ask bob "NAME bob-$run" 'OK NAME *'
bob=${line#OK NAME }

for target in "bob-$run" "${bob#*:}" "$bob"; do
    ask ana "MSG $target Hello   World! to $target" 'OK MSG * ????-??-??T??:??:??.???Z'
    stored=${line#OK MSG }
    sees bob "* MSG $stored $bob $ana Hello   World! to $target"
done
ask bob "MSG $ana hi" 'OK MSG *'
sees ana "* MSG * $ana $bob hi"

ask ana "MSG nobody-$run hi" 'ERR NO_SUCH_USER MSG *'
ask ana "MSG other-$run:${bob#*:} hi" 'ERR NO_SUCH_USER MSG *'
leave bob
ask ana "MSG $bob are you there?" 'ERR NO_SUCH_USER MSG *'
leave ana

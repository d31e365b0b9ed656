#!/usr/bin/env bash
# Create a new channel, and chat in it with friends: live, both ways, with a history, until its owner closes it.
. "$(dirname "$0")/lib.sh"
c="#c-$run"

open ana
ask ana "NAME ana-$run" 'OK NAME *'
ana=${line#OK NAME }
ask ana "CREATE $c" "OK CREATE $c"
open bob
ask bob "NAME bob-$run" 'OK NAME *'
bob=${line#OK NAME }
ask bob "SAY $c may I?" 'ERR NOT_MEMBER SAY *'
ask bob "JOIN $c" "OK JOIN $c 2"
sees ana "* JOIN $c $bob *"

ask ana "MSG $c hi all" 'OK MSG *'
sees bob "* MSG ${line#OK MSG } $c $ana hi all"
ask bob "SAY $c goodbye is only a word" 'OK SAY *'
sees ana "* MSG ${line#OK SAY } $c $bob goodbye is only a word"
ask bob "HISTORY $c" 'OK HISTORY 2'
ask bob "LIST $c" 'OK LIST 2'
ask bob CHANNELS 'OK CHANNELS *'
has "$(printf '%s\n' "${data[@]}")" "- CHANNEL $c 2 $ana"

ask bob "CLOSE $c" 'ERR NOT_ALLOWED CLOSE *'
ask ana "CLOSE $c" "OK CLOSE $c"
sees bob "* CLOSE $c $ana *"
ask bob "SAY $c anybody?" 'ERR NO_SUCH_CHANNEL SAY *'
leave bob
leave ana

#!/usr/bin/env bash
# Disconnect from the server: everything sent before QUIT is answered, the others are told, and the name is free again.
. "$(dirname "$0")/lib.sh"
c="#q-$run"

open ana
ask ana "NAME ana-$run" 'OK NAME *'
ana=${line#OK NAME }
ask ana "CREATE $c" 'OK CREATE *'
open bob
ask bob "JOIN $c" "OK JOIN $c 2"
sees ana "* JOIN $c *"
read -r _ _ _ bob _ <<<"$line"

ask ana "LEAVE $c" "OK LEAVE $c"
sees bob "* LEAVE $c $ana *"
sees bob "* OWNER $c $bob *"
ask ana "JOIN $c" "OK JOIN $c 2"
sees bob "* JOIN $c $ana *"
leave ana
sees bob "* LEAVE $c $ana * disconnected"
ask bob "NAME ana-$run" "OK NAME ana-$run:*"

# All at once: each is answered, in order, before the connection ends.
send bob "CLOSE $c"
send bob WHOAMI
send bob QUIT
sees bob "OK CLOSE $c"
sees bob "OK WHOAMI ana-$run:* guest"
sees bob 'OK QUIT bye'
hang_up bob

#!/usr/bin/env bash
# Errors: one ERR for each line that is refused, with a stable code; the connection stays open.
. "$(dirname "$0")/lib.sh"
long=$(printf 'x%.0s' {1..4200})

open ana
ask ana "SYA #x oops" 'ERR UNKNOWN_COMMAND SYA *SAY*'
ask ana 'MSG' 'ERR BAD_SYNTAX MSG *'
ask ana 'LIST #x everybody else' 'ERR BAD_SYNTAX LIST *'
ask ana 'ACK one' 'ERR BAD_SYNTAX ACK *'
ask ana "PING $long" 'ERR TOO_LONG *'
ask ana $'PING \033[2J' 'ERR BAD_TEXT *'
ask ana $'PING \342\200\256txt.exe' 'ERR BAD_TEXT *' # U+202E turns the writing direction
ask ana $'PING \303' 'ERR BAD_TEXT *' # half a character
ask ana 'NAME 7up' 'ERR BAD_NAME NAME *'
ask ana 'NAME guest-1' 'ERR BAD_NAME NAME *'
ask ana "JOIN #none-$run" 'ERR NO_SUCH_CHANNEL JOIN *'
ask ana "REGISTER ana-$run short" 'ERR * REGISTER *'
ask ana "CREATE #e-$run" "OK CREATE #e-$run"
ask ana "CREATE #E-$run" 'ERR CHANNEL_EXISTS CREATE *'
ask ana "CLOSE #e-$run" "OK CLOSE #e-$run"
ask ana 'PING still here' 'OK PING still here'
leave ana

# Another protocol gets one ERR, and nothing that it sends is executed.
out=$(pipe 'POST / HTTP/1.1' 'Host: localhost' '' 'CREATE #from-a-browser')
has "$out" 'ERR BAD_SYNTAX - *'
[[ $out != *'OK '* ]] || fail "a web page was obeyed: $out"

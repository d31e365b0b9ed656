#!/usr/bin/env bash
# Pipes: a script writes its commands, ends with QUIT, and has one answer for each, in their order.
. "$(dirname "$0")/lib.sh"

out=$(pipe LIST QUIT)
has "$out" '* HELLO *'
has "$out" '- USER *'
has "$out" 'OK LIST *'
[ "${out##*$'\n'}" = 'OK QUIT bye' ] || fail "the last line is ${out##*$'\n'}"

# What comes after QUIT is not looked at.
out=$(pipe QUIT WHOAMI)
[ "${out##*$'\n'}" = 'OK QUIT bye' ] || fail "after QUIT: $out"

# A thousand commands at once, small letters and CR LF included, are answered one by one.
mapfile -t pings < <(seq -f 'ping number %g'$'\r' 1000)
out=$(pipe "${pings[@]}" "QUIT"$'\r' | tr -d '\r' | grep '^OK PING')
[ "$out" = "$(seq -f 'OK PING number %g' 1000)" ] || fail "a thousand pings: $(wc -l <<<"$out") answers"

# So is a thousand messages: one channel, rising seqs.
mapfile -t lines < <(seq -f "SAY #p-$run message %g" 1000)
out=$(pipe "CREATE #p-$run" "${lines[@]}" "HISTORY #p-$run 1000" "CLOSE #p-$run" QUIT)
has "$out" 'OK HISTORY 1000'
said=$(grep '^OK SAY' <<<"$out" | cut -d' ' -f3)
[ "$(wc -l <<<"$said")" = 1000 ] || fail "a thousand messages: $(wc -l <<<"$said") answers"
sort -nuc <<<"$said" || fail 'the seqs do not rise'
[ "$(grep '^- MSG' <<<"$out" | cut -d' ' -f7-)" = "$(seq -f 'message %g' 1000)" ] || fail 'the history is not what was said'

#!/bin/sh
# Word count with two processes of mawk: on_mawk.sh OUT INPUT...
# Each counts every other file; a third adds the two results up.
set -eu
out=$1
shift
count='{ n = split($0, w, /[^A-Za-z]+/); for (i = 1; i <= n; i++) if (w[i] != "") c[w[i]]++ }
       END { for (word in c) print word "\t" c[word] }'
first='' second=''
for input do
    first="$first $input"
    swap=$first first=$second second=$swap
done
# The names of the inputs hold no spaces.
mawk "$count" $first > "$out/half-1" &
mawk "$count" $second > "$out/half-2"
wait
mawk -F '\t' '{ c[$1] += $2 } END { for (word in c) print word "\t" c[word] }' \
    "$out/half-1" "$out/half-2" > "$out/part-0"

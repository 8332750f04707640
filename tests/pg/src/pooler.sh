# Runs a pooler until standard input ends, which it does when the test process does, however that ends.
# $1: pgbouncer; $2: its configuration; $3: the user that runs it, or empty.
trap '' INT TERM HUP
if [ -n "$3" ]; then
    runuser -u "$3" -- "$1" "$2" 2>&1 &
else
    "$1" "$2" 2>&1 &
fi
read -r _
kill -INT $! 2>/dev/null

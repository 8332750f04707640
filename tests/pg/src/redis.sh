# Runs a Redis server until standard input ends, which it does when the test process does, however that ends.
# $1: redis-server; the rest: its arguments.
trap '' INT TERM HUP
"$@" 2>&1 &
echo "pid $!"
# So that its output ends with it.
exec >/dev/null
read -r _
kill -KILL $! 2>/dev/null

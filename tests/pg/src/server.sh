# Runs a private PostgreSQL server until standard input ends, which it does when the test process does, however that ends.
# $1: the server's programs; $2: a new directory; $3: settings; $4: the user that runs it, or empty.
trap '' INT TERM HUP
as() {
    if [ -n "$user" ]; then runuser -u "$user" -- "$@"; else "$@"; fi
}
bin=$1; dir=$2; settings=$3; user=$4
mkdir "$dir/sock" || exit 1
if [ -n "$user" ]; then chown -R "$user" "$dir" || exit 1; fi
{
    as "$bin/initdb" -D "$dir/data" -A trust -U postgres --no-sync -E UTF8 --locale=C &&
    as "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" -o "-k $dir/sock $settings" start &&
    as "$bin/psql" -X -q -h "$dir/sock" -U postgres -c 'CREATE ROLE broker_owner LOGIN' -c 'CREATE ROLE broker_app LOGIN' postgres
} >"$dir/start" 2>&1 || { cat "$dir/start" "$dir/log" >&2; rm -rf "$dir"; exit 1; }
echo ready
read -r _
as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1
rm -rf "$dir"

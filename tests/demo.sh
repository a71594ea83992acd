#!/bin/sh
# Show what airmem shows: start the demo tree, look at it, end it. Usage: demo.sh AIRMEM
set -eu
airmem=$1
log=$(mktemp)
"$airmem" demo --mode gc --workers 4 >"$log" &
demo=$!
trap 'kill "$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true; rm -f "$log"' EXIT INT TERM

waited=0
until grep -q ready "$log"; do
    kill -0 "$demo" 2>/dev/null || { echo "the demo did not start" >&2; exit 1; }
    waited=$((waited + 1))
    [ "$waited" -lt 300 ] || { echo "the demo was not ready after 60 s" >&2; exit 1; }
    sleep 0.2
done
pid=$(sed -n 's/^[^0-9]*\([0-9]*\).*/\1/p;q' "$log")

show() {
    printf '\n$ airmem %s\n' "$*"
    "$airmem" "$@"
}
cat "$log"
show ps
show pss "$pid"

#!/usr/bin/env python3
"""Post what delete_guard reports to a chat webhook, the moment it is committed.

usage: listen.py CONNECTION WEBHOOK     a libpq connection string; what takes {"text": ...}

Any login may listen. What happens while the connection is lost is in delete_guard.audit_log only.
"""
import json
import select
import sys
import time
import urllib.request

import psycopg2


def text(e):
    what = f"{e['operation']} on {e['table'] or 'no table'} in {e['database']}: *{e['outcome']}*"
    rows = f", {e['rows']} rows, {e['dependents']} rows depend on them" if e["rows"] is not None else ""
    ask = f"\nSELECT * FROM delete_guard.pending_requests WHERE request_id = {e['request']};" if e["request"] else ""
    return f"{what}, by {e['person']}{rows} (event {e['event']}){ask}"


def listen(connection, webhook):
    db = psycopg2.connect(connection)
    db.autocommit = True
    db.cursor().execute("LISTEN delete_guard")
    print("listening", flush=True)
    while True:
        select.select([db], [], [])
        db.poll()
        while db.notifies:
            body = json.dumps({"text": text(json.loads(db.notifies.pop(0).payload))}).encode()
            request = urllib.request.Request(webhook, body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=10)


while True:
    try:
        listen(*sys.argv[1:3])
    except (psycopg2.OperationalError, OSError) as problem:
        print(problem, file=sys.stderr, flush=True)
        time.sleep(2)

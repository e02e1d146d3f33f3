#!/usr/bin/env python3
"""usage: listen.py CONNECTION WEBHOOK STATE    a libpq connection string; what takes {"text": ...}; a file
Posts what delete_guard raises alerts for to a chat, when it is committed. A notification only wakes: any login can send one, so
what is posted is read from the audit log (GRANT SELECT ON delete_guard.audit_log). STATE keeps what was posted: an event that the
webhook did not take, or that came while nobody listened, is posted later."""
import html, json, os, psycopg2, re, select, sys, time, urllib.request
EVENTS = """SELECT event_id, encode(textsend(concat(operation, ' on ', coalesce(table_name, 'no table'), ' in ', current_database(),
      ': *', outcome, '*, by ', person, ', ' || row_count || ' rows, ' || (SELECT coalesce(sum((r ->> 'rows')::bigint), 0)
         FROM jsonb_array_elements(coalesce(blast_radius, '[]')) r) || ' rows depend on them', ' (event ', event_id, ')',
      E'\nSELECT * FROM delete_guard.pending_requests WHERE request_id = ' || request_id)), 'hex')
  FROM delete_guard.audit_log WHERE (event_id > %s OR event_id = ANY (%s) AND occurred_at > now() - interval '1 day')
   AND event_id <> ALL (%s) AND (operation = ANY ('{unprotect,forget_reference,add_approver,remove_approver,purge,ddl}')
     OR outcome = ANY ('{blocked,approved,break_glass,not_enforced,weakened,requested,restored}')) ORDER BY event_id"""
def listen(connection, webhook, path):
    db = psycopg2.connect(connection, client_encoding="UTF8")
    db.autocommit, cursor, woken_for = True, db.cursor(), []
    cursor.execute("LISTEN delete_guard")
    while True:
        cursor.execute("SELECT coalesce(max(event_id), 0) FROM delete_guard.audit_log")
        last = cursor.fetchone()[0]
        after, posted = json.load(open(path)) if os.path.exists(path) else (last, [])
        cursor.execute(EVENTS, (after, woken_for, posted))
        for event, text in cursor.fetchall() + [(last, None)]:
            if text:
                body = json.dumps({"text": html.escape(bytes.fromhex(text).decode(errors="replace"), quote=False)}).encode()
                urllib.request.urlopen(urllib.request.Request(webhook, body, {"Content-Type": "application/json"}), timeout=10)
                posted.append(event)
            else:  # all of them; look back a little next time, as numbers are given out before events are committed
                after, posted = max(after, last - 1000), [event for event in posted if event > last - 1000]
            with open(path + ".new", "w") as state: json.dump((after, posted), state)
            os.replace(path + ".new", path)
        print("listening after event", last, flush=True)
        if not db.notifies: select.select([db], [], [], 60)
        db.poll()
        woken_for = [int(n) for notice in db.notifies for n in re.findall(r'"event":(\d{1,18})\b', notice.payload)]
        db.notifies.clear()
while True:
    try: listen(*sys.argv[1:])
    except (psycopg2.Error, OSError) as problem: print(problem, file=sys.stderr, flush=True)
    time.sleep(5)

/* Put back what an event took */
CREATE FUNCTION delete_guard.restore(
    event bigint, on_conflict text DEFAULT 'error', dry_run boolean DEFAULT false,
    OUT table_name text, OUT effect text, OUT key jsonb, OUT action text, OUT note text)
    RETURNS SETOF record
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_restore';
COMMENT ON FUNCTION delete_guard.restore(bigint, text, boolean) IS
    'put back the rows that an event removed, with what cascaded; on_conflict error or skip; dry_run changes nothing';

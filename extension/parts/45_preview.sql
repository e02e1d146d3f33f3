/* What a delete would do */
CREATE FUNCTION delete_guard.preview_delete(
    "table" regclass, condition text DEFAULT NULL, samples integer DEFAULT 3,
    OUT depth integer, OUT path text, OUT table_name text, OUT reference text,
    OUT effect text, OUT rows bigint, OUT sample_keys jsonb, OUT guard text,
    OUT postgres text) RETURNS SETOF record
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_preview_delete';
COMMENT ON FUNCTION delete_guard.preview_delete(regclass, text, integer) IS
    'what would happen if the rows of a table that meet a condition were deleted; changes nothing';

CREATE FUNCTION delete_guard.explain_delete(
    "table" regclass, condition text DEFAULT NULL, format text DEFAULT 'text') RETURNS SETOF text
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_explain_delete';
COMMENT ON FUNCTION delete_guard.explain_delete(regclass, text, text) IS
    'what preview_delete tells, to look at: as text, json, dot or mermaid';

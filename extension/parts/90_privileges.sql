/*
 * Privileges.  The functions check themselves who may do what; tables and
 * sequences are for their owner alone; reading the audit log takes a grant.
 */
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA delete_guard FROM PUBLIC;
/* no owner either: what counts is a grant */
REVOKE ALL ON FUNCTION delete_guard.break_glass(bigint, text) FROM CURRENT_USER;
REVOKE ALL ON ALL TABLES IN SCHEMA delete_guard FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA delete_guard FROM PUBLIC;

GRANT USAGE ON SCHEMA delete_guard TO PUBLIC;
GRANT EXECUTE ON FUNCTION
    delete_guard.protect(regclass, text, text, integer),
    delete_guard.unprotect(regclass),
    delete_guard.declare_reference(regclass, name[], regclass, name[], text),
    delete_guard.forget_reference(text),
    delete_guard.references_to(regclass),
    delete_guard.suggest_references(regclass, numeric),
    delete_guard.ignore_suggestion(regclass, name[], regclass, text),
    delete_guard.unignore_suggestion(regclass, name[], regclass),
    delete_guard.find_orphans(regclass),
    delete_guard.add_approver(name, regclass),
    delete_guard.remove_approver(name, regclass),
    delete_guard.request_delete(regclass, text, text),
    delete_guard.preview_delete(regclass, text, integer),
    delete_guard.explain_delete(regclass, text, text),
    delete_guard.approve(bigint, text),
    delete_guard.deny(bigint, text),
    delete_guard.cancel(bigint),
    delete_guard.restore(bigint, text, boolean),
    delete_guard.request_change(regclass, text, text),
    delete_guard._may_see_request(oid, oid),
    delete_guard._may_read_keys(oid),
    delete_guard._request_radius(bigint),
    delete_guard._library_version(),
    delete_guard._guard_rows(),
    delete_guard._note_key_change(oid, tid, tid),
    delete_guard._guard_end(),
    delete_guard._guard_truncate()
    TO PUBLIC;
/* for monitoring */
GRANT EXECUTE ON FUNCTION
    delete_guard._count_on(),
    delete_guard._recorder_counters(),
    delete_guard._enforced()
    TO pg_monitor;
GRANT SELECT ON delete_guard.metrics TO pg_monitor;
GRANT SELECT ON
    delete_guard.protected_tables,
    delete_guard.ignored_suggestions,
    delete_guard.request_history,
    delete_guard.pending_requests
    TO PUBLIC;
GRANT EXECUTE ON FUNCTION delete_guard.health() TO pg_monitor;

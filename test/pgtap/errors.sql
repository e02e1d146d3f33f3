-- Each documented error has its SQLSTATE, for an ordinary role.
BEGIN;
SELECT no_plan();
SET LOCAL client_min_messages = warning;
CREATE ROLE dg_owner;
CREATE ROLE dg_user;
CREATE ROLE dg_person LOGIN;
CREATE SCHEMA e;
GRANT ALL ON SCHEMA e TO dg_owner, dg_user;
SET LOCAL search_path = e, public;
CREATE TABLE foreign_to_them (id int PRIMARY KEY);
SET LOCAL ROLE dg_owner;
CREATE TABLE arch (id int PRIMARY KEY, name text UNIQUE, code int, at timestamptz);
CREATE TABLE assoc (arch_id int, name text, at date, other_id bigint);
CREATE TABLE no_key (id int);
CREATE TABLE null_key (id int UNIQUE);
CREATE TABLE partial_key (id int NOT NULL);
CREATE UNIQUE INDEX ON partial_key (id) WHERE id > 0;
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
CREATE TEMP TABLE temporary (id int PRIMARY KEY);
CREATE VIEW a_view AS SELECT * FROM arch;
CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM arch;
CREATE SEQUENCE a_sequence;
CREATE TYPE a_type AS (id int);
CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
INSERT INTO arch VALUES (1, 'i586'), (2, 'x86_64');
INSERT INTO assoc VALUES (1);

-- protect
SELECT throws_ok($$SELECT delete_guard.protect('no_such_table')$$, '42P01', NULL, 'protect: no such table');
SELECT throws_ok($$SELECT delete_guard.protect(4000000000::regclass)$$, '42P01', NULL, 'protect: no such OID');
SELECT throws_ok($$SELECT delete_guard.protect(NULL)$$, '22004', NULL, 'protect: NULL');
SELECT throws_ok($$SELECT delete_guard.protect('a_view')$$, '42809', NULL, 'protect: a view');
SELECT throws_ok($$SELECT delete_guard.protect('a_matview')$$, '42809', NULL, 'protect: a materialized view');
SELECT throws_ok($$SELECT delete_guard.protect('a_sequence')$$, '42809', NULL, 'protect: a sequence');
SELECT throws_ok($$SELECT delete_guard.protect('a_type')$$, '42809', NULL, 'protect: a composite type');
SELECT throws_ok($$SELECT delete_guard.protect('arch_pkey')$$, '42809', NULL, 'protect: an index');
SELECT throws_ok($$SELECT delete_guard.protect('temporary')$$, '42809', NULL, 'protect: a temporary table');
SELECT throws_ok($$SELECT delete_guard.protect('unlogged')$$, '42809', NULL, 'protect: an unlogged table');
SELECT throws_ok($$SELECT delete_guard.protect('pg_class')$$, '42501', NULL, 'protect: a system table of somebody else');
SELECT throws_ok($$SELECT delete_guard.protect('delete_guard.event')$$, '42501', NULL, 'protect: a table of the extension');
SELECT throws_ok($$SELECT delete_guard.protect('foreign_to_them')$$, '42501', 'must be owner of table foreign_to_them', 'protect: not the owner');
SELECT throws_ok($$SELECT delete_guard.protect('no_key')$$, '55000', NULL, 'protect: no key');
SELECT throws_ok($$SELECT delete_guard.protect('null_key')$$, '55000', NULL, 'protect: a key that may be NULL');
SELECT throws_ok($$SELECT delete_guard.protect('partial_key')$$, '55000', NULL, 'protect: a partial unique index');
SELECT throws_ok($$SELECT delete_guard.protect('arch', 'blok')$$, '22023', 'invalid mode: "blok"', 'protect: wrong mode');
SELECT throws_ok($$SELECT delete_guard.protect('arch', 'BLOCK')$$, '22023', NULL, 'protect: mode in capitals');
SELECT throws_ok($$SELECT delete_guard.protect('arch', scope => 'some')$$, '22023', 'invalid scope: "some"', 'protect: wrong scope');
SELECT throws_ok($$SELECT delete_guard.protect('arch', approvals => 0)$$, '22023', NULL, 'protect: no approvals');
SELECT throws_ok($$SELECT delete_guard.protect('arch', approvals => 101)$$, '22023', NULL, 'protect: too many approvals');
SELECT lives_ok($$SELECT delete_guard.protect('arch')$$, 'protect works');
SELECT lives_ok($$SELECT delete_guard.protect('part')$$, 'protect works on a partitioned table');
SELECT throws_ok($$SELECT delete_guard.protect('part_1')$$, '55000', NULL, 'protect: a partition of a protected table');

-- unprotect
SELECT throws_ok($$SELECT delete_guard.unprotect('assoc')$$, '42704', 'table "assoc" is not protected', 'unprotect: not protected');
SELECT throws_ok($$SELECT delete_guard.unprotect('part_1')$$, '55000', NULL, 'unprotect: a partition of a protected table');
SELECT throws_ok($$SELECT delete_guard.unprotect(NULL)$$, '22004', NULL, 'unprotect: NULL');
SET LOCAL ROLE dg_user;
SELECT throws_ok($$SELECT delete_guard.unprotect('arch')$$, '42501', 'must be owner of table arch', 'unprotect: not the owner');
SELECT throws_ok($$SELECT delete_guard.protect('arch', 'log')$$, '42501', NULL, 'protect again: not the owner');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch')$$, '42501', NULL, 'declare_reference: not the owner');
SELECT throws_ok($$SELECT delete_guard.add_approver('dg_person', 'arch')$$, '42501', NULL, 'add_approver: not the owner');
SET LOCAL ROLE dg_owner;

-- declare_reference
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{nothing}', 'arch')$$, '42703', NULL, 'declare_reference: no such column');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch', '{nothing}')$$, '42703', NULL, 'declare_reference: no such referenced column');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{ctid}', 'arch')$$, '42703', NULL, 'declare_reference: a system column');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{NULL}', 'arch')$$, '42703', NULL, 'declare_reference: a NULL column');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{arch_id,arch_id}', 'arch')$$, '42701', NULL, 'declare_reference: a column twice');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{}', 'arch')$$, '22023', NULL, 'declare_reference: no columns');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', NULL, 'arch')$$, '22004', NULL, 'declare_reference: columns NULL');
SELECT throws_ok($$SELECT delete_guard.declare_reference(NULL, '{arch_id}', 'arch')$$, '22004', NULL, 'declare_reference: referencing table NULL');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{arch_id}', NULL)$$, '22004', NULL, 'declare_reference: referenced table NULL');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{arch_id,name}', 'arch')$$, '42830', NULL, 'declare_reference: numbers of columns differ');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{name}', 'arch')$$, '42804', NULL, 'declare_reference: types differ');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch', '{code}')$$, '42830', NULL, 'declare_reference: no unique index');
SELECT throws_ok($$SELECT delete_guard.declare_reference('a_view', '{id}', 'arch')$$, '42809', NULL, 'declare_reference: a view');
SELECT throws_ok($$SELECT delete_guard.declare_reference('temporary', '{id}', 'arch')$$, '42809', NULL, 'declare_reference: a temporary table');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch', condition => 'nonsense')$$, '42703', NULL, 'declare_reference: no such column in the condition');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch', condition => 'arch_id +')$$, '42601', NULL, 'declare_reference: syntax of the condition');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch', condition => 'arch_id')$$, '42804', NULL, 'declare_reference: the condition is not boolean');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch', condition => 'true; DROP TABLE arch')$$, '42601', NULL, 'declare_reference: the condition is one expression');
SELECT is(delete_guard.declare_reference('assoc', '{arch_id}', 'arch'), 'assoc_arch_id', 'declare_reference returns the name');
SELECT throws_ok($$SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch')$$, '42710', NULL, 'declare_reference: declared already');
SELECT lives_ok($$SELECT delete_guard.declare_reference('assoc', '{other_id}', 'arch')$$, 'declare_reference: integers of other sizes');

-- forget_reference
SELECT throws_ok($$SELECT delete_guard.forget_reference('nothing')$$, '42704', NULL, 'forget_reference: no such reference');
SELECT throws_ok($$SELECT delete_guard.forget_reference(NULL)$$, '22004', NULL, 'forget_reference: NULL');
SET LOCAL ROLE dg_user;
SELECT throws_ok($$SELECT delete_guard.forget_reference('assoc_arch_id')$$, '42501', NULL, 'forget_reference: not the owner');
SET LOCAL ROLE dg_owner;

-- references_to
SELECT throws_ok($$SELECT * FROM delete_guard.references_to(NULL)$$, '22004', NULL, 'references_to: NULL');
SELECT throws_ok($$SELECT * FROM delete_guard.references_to(4000000000::regclass)$$, '42P01', NULL, 'references_to: no such OID');

-- approvers
SELECT throws_ok($$SELECT delete_guard.add_approver('dg_nobody_like_this', 'arch')$$, '42704', NULL, 'add_approver: no such role');
SELECT throws_ok($$SELECT delete_guard.add_approver('dg_user', 'arch')$$, '22023', NULL, 'add_approver: a role that cannot log in');
SELECT throws_ok($$SELECT delete_guard.add_approver(NULL, 'arch')$$, '22004', NULL, 'add_approver: NULL');
SELECT throws_ok($$SELECT delete_guard.add_approver('dg_person')$$, '42501', NULL, 'add_approver: for all tables, by the owner of one');
SELECT throws_ok($$SELECT delete_guard.add_approver('dg_person', 'assoc')$$, '42704', NULL, 'add_approver: table not protected');
SELECT lives_ok($$SELECT delete_guard.add_approver('dg_person', 'arch')$$, 'add_approver works');
SELECT throws_ok($$SELECT delete_guard.remove_approver('dg_owner', 'arch')$$, '42704', NULL, 'remove_approver: no approver');
SELECT throws_ok($$SELECT delete_guard.remove_approver('dg_person', 'arch')$$, '42501', NULL, 'remove_approver: needs an approval');

-- requests
SELECT throws_ok($$SELECT delete_guard.request_delete('assoc', 'true')$$, '55000', NULL, 'request_delete: table not protected');
SELECT throws_ok($$SELECT delete_guard.request_delete('arch', 'id = 99')$$, 'P0002', NULL, 'request_delete: no such rows');
SELECT throws_ok($$SELECT delete_guard.request_delete('arch', 'id = ')$$, '42601', NULL, 'request_delete: syntax');
SELECT throws_ok($$SELECT delete_guard.request_delete('arch', 'id')$$, '42804', NULL, 'request_delete: not boolean');
SELECT throws_ok($$SELECT delete_guard.request_delete(NULL, 'true')$$, '22004', NULL, 'request_delete: NULL');
SELECT lives_ok($$SELECT delete_guard.request_delete('arch', 'id = 1', 'no longer built')$$, 'request_delete works');
SET LOCAL ROLE dg_user;
SELECT throws_ok($$SELECT delete_guard.request_delete('arch', 'true')$$, '42501', NULL, 'request_delete: without the right to delete');
SELECT throws_ok($$SELECT delete_guard.approve(4000000000)$$, '42704', NULL, 'approve: no such request');
SELECT throws_ok($$SELECT delete_guard.approve(-1)$$, '42704', NULL, 'approve: no such number');
SELECT throws_ok($$SELECT delete_guard.approve(NULL)$$, '22004', NULL, 'approve: NULL');
SELECT throws_ok($$SELECT delete_guard.deny(4000000000)$$, '42704', NULL, 'deny: no such request');
SELECT throws_ok($$SELECT delete_guard.deny(NULL)$$, '22004', NULL, 'deny: NULL');
SELECT throws_ok($$SELECT delete_guard.cancel(4000000000)$$, '42704', NULL, 'cancel: no such request');
SELECT throws_ok($$SELECT delete_guard.cancel(NULL)$$, '22004', NULL, 'cancel: NULL');
SET LOCAL ROLE dg_owner;
SELECT throws_ok(
    format('SELECT delete_guard.approve(%s)', (SELECT max(request_id) FROM delete_guard.request_history)),
    '42501', NULL, 'approve: an own request');
SELECT throws_ok(
    format('SELECT delete_guard.deny(%s)', (SELECT max(request_id) FROM delete_guard.request_history)),
    '42501', NULL, 'deny: an own request');

-- refused removals
SELECT throws_ok('DELETE FROM arch WHERE id = 1', '23001',
    'cannot delete from protected table "arch": other rows still refer to 1 of 1 rows', 'a referenced row is not deleted');
SELECT throws_ok('DELETE FROM arch', '23001',
    'cannot delete from protected table "arch": other rows still refer to 1 of 2 rows', 'nor are several');
SELECT throws_ok('UPDATE arch SET id = 3 WHERE id = 1', '23001',
    'cannot change a key of protected table "arch": other rows still refer to 1 of 1 rows', 'nor is its key changed');
SELECT throws_ok('TRUNCATE arch', '23001',
    'cannot truncate protected table "arch": other rows still refer to 1 of 2 rows', 'nor is the table truncated');
SELECT lives_ok('DELETE FROM arch WHERE id = 2', 'a row that nothing refers to is');
SELECT lives_ok('DELETE FROM assoc', 'so is the association');
SELECT lives_ok('DELETE FROM arch', 'and then the row');
RESET ROLE;
SELECT throws_ok($$SELECT delete_guard.protect('pg_class')$$, '42809', NULL, 'protect: a system table, by a superuser');
SELECT throws_ok($$SELECT delete_guard.protect('delete_guard.event')$$, '42809', NULL, 'protect: a table of the extension, by a superuser');
SELECT throws_ok($$SELECT delete_guard.protect('information_schema.sql_features')$$, '42809', NULL, 'protect: information_schema');

-- virtual generated columns (18)
SELECT current_setting('server_version_num')::int >= 180000 AS has_virtual \gset
CREATE TABLE key_of (id int PRIMARY KEY);
\if :has_virtual
CREATE TABLE virtual_ref (x int, key_id int GENERATED ALWAYS AS (x) VIRTUAL);
CREATE TABLE virtual_kind (key_id int, x text, kind text GENERATED ALWAYS AS (x) VIRTUAL);
SELECT throws_ok($$SELECT delete_guard.declare_reference('virtual_ref', '{key_id}', 'key_of')$$, '0A000', NULL, 'declare_reference: a virtual generated column');
SELECT throws_ok($$SELECT delete_guard.declare_reference('virtual_kind', '{key_id}', 'key_of', condition => 'kind IS NULL')$$, '0A000', NULL, 'declare_reference: a condition on one');
SELECT throws_ok($$SELECT delete_guard.declare_reference('virtual_kind', '{key_id}', 'key_of', condition => 'virtual_kind IS NOT NULL')$$, '0A000', NULL, 'declare_reference: a condition on a row with one');
SELECT lives_ok($$SELECT delete_guard.declare_reference('virtual_kind', '{key_id}', 'key_of', condition => 'x IS NULL')$$, 'declare_reference: a condition on another column');
\else
SELECT pass('there are no virtual generated columns');
\endif

SELECT * FROM finish();
ROLLBACK;

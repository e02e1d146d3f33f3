# Many sessions at once: every refused attempt is counted, every approval used
# once.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{PGOPTIONS} = '-c client_min_messages=warning';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_connections = 100');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int);
	CREATE INDEX ON assoc (arch_id);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 10000) i;
	INSERT INTO assoc SELECT i FROM generate_series(1, 200) i;
	GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
	SELECT delete_guard.add_approver('bob');
});

sub value { return $node->safe_psql('postgres', $_[0]) }

# Attempts, some of them the same.
$node->pgbench('-n -c 50 -j 2 -t 20 -U alice', 0, [qr{processed: 1000/1000}], [qr{^$}], 'fifty clients are refused at once',
	{ '108_refused' => q{
		\set id random(1, 200)
		DO $$ BEGIN
			DELETE FROM arch WHERE id = :id;
			RAISE 'deleted';
		EXCEPTION WHEN restrict_violation THEN NULL;
		END $$} });
is(value("SELECT sum(1 + repeats) FROM delete_guard.audit_log WHERE outcome = 'blocked' AND person = 'alice'"), '1000', 'none is lost');
is(value('SELECT count(*) FROM arch'), '10000', 'nothing is deleted');
is(value("SELECT count(*) - count(DISTINCT keys) FROM delete_guard.request"), '0', 'a row has one request, however often it was tried');
is(value("SELECT count(*) FROM delete_guard.audit_log l WHERE outcome = 'blocked' AND NOT EXISTS (SELECT FROM delete_guard.request r WHERE r.request_id = l.request_id)"),
	'0', 'every attempt has one');

# Approvals by one person in several sessions.
my $requests = value('SELECT count(*) FROM delete_guard.request');
$node->pgbench('-n -c 10 -j 2 -t 60 -U bob', 0, [qr{processed: 600/600}], [qr{^$}], 'ten clients approve at once',
	{ '108_approve' => q{
		DO $$ DECLARE r bigint; BEGIN
			SELECT request_id INTO r FROM delete_guard.request_history WHERE state = 'pending' ORDER BY random() LIMIT 1;
			IF FOUND THEN PERFORM delete_guard.approve(r); END IF;
		EXCEPTION WHEN duplicate_object THEN NULL;
		END $$} });
$node->safe_psql('postgres', q{SELECT delete_guard.approve(request_id) FROM delete_guard.request_history WHERE state = 'pending'},
	extra_params => [ '-U', 'bob' ]);
is(value("SELECT count(*), count(DISTINCT request_id) FROM delete_guard.decision WHERE kind = 'approve'"), "$requests|$requests", 'each request is approved once');

# Uses: every client tries every approval.
$node->pgbench('-n -c 20 -j 2 -t 200 -U alice', 0, [qr{processed: 4000/4000}], [qr{^$}], 'twenty clients use approvals at once',
	{ '108_use' => q{
		DO $$ DECLARE r record; BEGIN
			SELECT request_id, (keys -> 0 ->> 'id')::int AS id INTO r FROM delete_guard.request_history WHERE state = 'approved' ORDER BY random() LIMIT 1;
			IF FOUND THEN
				PERFORM set_config('delete_guard.approval', r.request_id::text, true);
				DELETE FROM arch WHERE id = r.id;
			END IF;
		EXCEPTION WHEN restrict_violation THEN NULL;
		END $$} });
my $used = value("SELECT count(*) FROM delete_guard.decision WHERE kind = 'use'");
is(value("SELECT count(*) - count(DISTINCT request_id) FROM delete_guard.decision WHERE kind = 'use'"), '0', 'no approval is used twice');
is(value("SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'approved'"), $used, 'each use is recorded');
is(value('SELECT 10000 - count(*) FROM arch'), $used, 'and deleted one row');
cmp_ok($used, '>', 0, 'some were used');
is(value("SELECT count(*) FROM delete_guard.audit_rows JOIN delete_guard.audit_log USING (event_id) WHERE outcome = 'approved' AND old_row IS NOT NULL AND table_id = 'arch'::regclass"),
	$used, 'with its image');

# Deletes that nobody has to approve, next to refused ones.
$node->pgbench('-n -c 20 -j 2 -t 50', 0, [qr{processed: 1000/1000}], [qr{^$}], 'twenty clients delete what nothing refers to',
	{ '108_free' => q{
		\set id random(1001, 9999)
		DELETE FROM arch WHERE id BETWEEN :id AND :id + 3;} });
is(value("SELECT count(*) FROM delete_guard.audit_rows WHERE old_row IS NOT NULL AND (key ->> 'id')::int > 1000"),
	value('SELECT 9000 - count(*) FROM arch WHERE id > 1000'), 'each deleted row has its image');
is(value("SELECT sum(row_count) FROM delete_guard.audit_log WHERE outcome = 'logged' AND operation = 'delete'"),
	value('SELECT 9000 - count(*) FROM arch WHERE id > 1000'), 'and is counted');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal|attempt not stored|deadlock/, 'nothing in the log');
done_testing();

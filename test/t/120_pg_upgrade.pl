# pg_upgrade from an older PostgreSQL: tables stay protected, settings,
# references, approvers, requests and the audit log are as they were.
#
# DELETE_GUARD_OLD_BIN names the older server's program directory; delete_guard
# must be installed for it.  Without it there is nothing to test.
#
# Routes: 92

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old_bin = $ENV{DELETE_GUARD_OLD_BIN};
plan skip_all => 'DELETE_GUARD_OLD_BIN is not set' unless $old_bin;

# Cluster looks for programs in install_path/bin
my $install_path = PostgreSQL::Test::Utils::tempdir();
symlink $old_bin, "$install_path/bin" or die "symlink: $!";
my $old = PostgreSQL::Test::Cluster->new('old', install_path => $install_path);
my $new = PostgreSQL::Test::Cluster->new('new');
my @checksums = $new->pg_version >= 18 ? (extra => ['--no-data-checksums']) : ();
$old->init;
$new->init(@checksums);
$old->append_conf('postgresql.conf', 'max_prepared_transactions = 10');
$old->start;

$old->safe_psql(
	'postgres', q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE EXTENSION delete_guard;
	CREATE TABLE gone (id int);
	DROP TABLE gone;
	CREATE TABLE arch (gone int, id int PRIMARY KEY, name text UNIQUE);
	ALTER TABLE arch DROP COLUMN gone;
	CREATE TABLE assoc (arch_id int, kind text);
	CREATE TABLE renamed (arch_id int);
	CREATE TABLE pkg (id int PRIMARY KEY, arch_id int REFERENCES arch ON DELETE CASCADE);
	CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
	CREATE TABLE parent (id int PRIMARY KEY);
	CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 20) i;
	INSERT INTO assoc SELECT i, CASE WHEN i > 5 THEN 'Project' ELSE 'Other' END FROM generate_series(1, 10) i;
	INSERT INTO pkg VALUES (1, 12);
	INSERT INTO renamed VALUES (13);
	INSERT INTO part VALUES (1);
	INSERT INTO child VALUES (1);
	GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.protect('part', 'block', 'all');
	SELECT delete_guard.protect('parent', 'log');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch', condition => $$kind = 'Project'$$);
	SELECT delete_guard.declare_reference('renamed', '{arch_id}', 'arch');
	ALTER TABLE renamed RENAME COLUMN arch_id TO architecture;
	SELECT delete_guard.add_approver('bob');
	DELETE FROM arch WHERE id = 1;
	DELETE FROM child;
});

# Run SQL as somebody; returns what went to stderr.
sub as
{
	my ($node, $who, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql, on_error_stop => 0,
		extra_params => [ '-U', $who, '-v', 'VERBOSITY=verbose' ]);
	return $stderr;
}
# What pg_upgrade keeps of a failure.
sub show_logs
{
	diag("$_:\n" . substr(slurp_file($_), -3000)) for glob($new->data_dir . '/pg_upgrade_output.d/*/log/pg_upgrade_dump_*.log');
}
my ($r) = as($old, 'alice', 'DELETE FROM arch WHERE id = 6') =~ /delete_guard\.approve\((\d+)\)/;
ok($r, 'the old server refuses and opens a request');
as($old, 'bob', "SELECT delete_guard.approve($r, 'yes')");

my %contents = (
	'protected tables' => 'SELECT * FROM delete_guard.protected_tables ORDER BY 1',
	'references' => q{SELECT name, kind, referencing::text, referencing_columns, referenced_columns, on_delete, condition FROM delete_guard.references_to('arch') ORDER BY 1},
	'approvers' => 'SELECT * FROM delete_guard.approver ORDER BY 1',
	'audit log' => 'SELECT * FROM delete_guard.audit_log ORDER BY 1',
	'audit rows' => 'SELECT * FROM delete_guard.audit_rows ORDER BY 1, 2',
	'requests' => 'SELECT request_id, requested_by, keys, row_count, state, approvals, decided_by, comments, decided_at FROM delete_guard.request_history ORDER BY 1',
	'triggers' => q{SELECT tgrelid::regclass::text, tgname, tgenabled, tgtype, tgoldtable FROM pg_trigger WHERE tgname LIKE '00%' ORDER BY 1, 2},
	'event triggers' => q{SELECT evtname, evtenabled FROM pg_event_trigger ORDER BY 1},
	'members' => q{SELECT pg_describe_object(classid, objid, 0), deptype FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
		WHERE refclassid = 'pg_extension'::regclass AND extname = 'delete_guard' AND classid <> 'pg_type'::regclass ORDER BY 1},
);
my %expected = map { $_ => $old->safe_psql('postgres', $contents{$_}) } keys %contents;
$old->stop;

# pg_upgrade writes into its working directory.
chdir ${PostgreSQL::Test::Utils::tmp_check} or die "chdir: $!";
command_ok(
	[
		'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', "$install_path/bin",
		'-B', $new->config_data('--bindir'), '-s', $new->host, '-p', $old->port, '-P', $new->port,
	],
	'pg_upgrade') or show_logs();
$new->start;

is($new->safe_psql('postgres', $contents{$_}), $expected{$_}, $_) for sort keys %contents;

like(as($new, 'alice', 'DELETE FROM arch WHERE id = 7'), qr/ERROR:  23001:.*"assoc" \(arch_id\), declared/s, 'a declared reference is known');
like(as($new, 'alice', 'DELETE FROM arch WHERE id = 13'), qr/ERROR:  23001:.*"renamed" \(architecture\), declared/s, 'one whose column was renamed too');
like(as($new, 'alice', 'DELETE FROM arch WHERE id = 12'), qr/ERROR:  23001:.*"pkg" \(arch_id\), would be deleted/s, 'a foreign key too');
like(as($new, 'alice', 'UPDATE arch SET id = id + 100 WHERE id IN (7, 8, 19)'), qr/ERROR:  23001:.*2 of 3 rows/s, 'a key change');
like(as($new, 'alice', $_), qr/ERROR:  23001:/, $_) for ('DELETE FROM part', 'DELETE FROM part_1', 'TRUNCATE part');
is($new->safe_psql('postgres', "SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'blocked' AND person = 'alice'"), '7', 'attempts are stored, a repeated one once');
is(as($new, 'alice', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 6; COMMIT"), '', 'an approval from before the upgrade can be used');
is($new->safe_psql('postgres', 'SELECT count(*) FROM arch WHERE id = 6'), '0', 'and the row is gone');
like(as($new, 'alice', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 7; COMMIT"), qr/ERROR:  23001:.*has been used/s, 'once');

$new->stop;
done_testing();

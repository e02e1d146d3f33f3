# What only newer servers have: MERGE by source (17), foreign keys that are not
# enforced or compare periods, and NOT NULL by its name (18).  Routes: 5, 32,
# 34, 51.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my ($version) = $node->pg_version =~ /^(\d+)/;
plan skip_all => 'needs PostgreSQL 17 or later' if $version < 17;
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION delete_guard; CREATE ROLE alice LOGIN');

# Make tables, let alice try; returns stderr of the attempt.
sub try
{
	my ($schema, $setup, $attempt) = @_;
	$node->safe_psql('postgres', "CREATE SCHEMA $schema; SET search_path = $schema, public; SET client_min_messages = warning; $setup;
		GRANT USAGE ON SCHEMA $schema TO alice; GRANT ALL ON ALL TABLES IN SCHEMA $schema TO alice");
	my ($rc, $stdout, $stderr) = $node->psql('postgres', "SET search_path = $schema, public; $attempt",
		on_error_stop => 0, extra_params => [ '-U', 'alice', '-v', 'VERBOSITY=verbose' ]);
	return $stderr;
}

sub events
{
	my ($schema) = @_;
	return $node->safe_psql('postgres', "SELECT string_agg(operation || ' ' || outcome || ' ' || row_count, ', ' ORDER BY event_id)
		FROM delete_guard.audit_log WHERE table_name LIKE '$schema.%' AND row_count IS NOT NULL AND outcome <> 'done'");
}

my $stderr = try('bysource', q{
	CREATE TABLE arch (id int PRIMARY KEY); CREATE TABLE soft (arch_id int); INSERT INTO arch VALUES (1), (2); INSERT INTO soft VALUES (1);
	SELECT delete_guard.protect('arch'); SELECT delete_guard.declare_reference('soft', '{arch_id}', 'arch')},
	'MERGE INTO arch USING (SELECT 2 AS id) s ON s.id = arch.id WHEN NOT MATCHED BY SOURCE THEN DELETE');
like($stderr, qr/ERROR:  23001/, 'route 5: MERGE, WHEN NOT MATCHED BY SOURCE: refused');
is($node->safe_psql('postgres', 'SELECT count(*) FROM bysource.arch'), '2', 'route 5: nothing changed');
is(events('bysource'), 'delete blocked 1', 'route 5: in the log');

SKIP:
{
	skip 'needs PostgreSQL 18 or later', 13 if $version < 18;

	# Not enforced: PostgreSQL does nothing about it, so it counts like a declared one.
	$stderr = try('notenforced', q{
		CREATE TABLE arch (id int PRIMARY KEY); CREATE TABLE fk (arch_id int REFERENCES arch ON DELETE CASCADE NOT ENFORCED);
		INSERT INTO arch VALUES (1), (2); INSERT INTO fk VALUES (1); SELECT delete_guard.protect('arch')},
		'DELETE FROM arch WHERE id = 2; DELETE FROM arch WHERE id = 1');
	like($stderr, qr/ERROR:  23001:.*"fk" \(arch_id\), not enforced, would dangle/s, 'route 34: a foreign key that is not enforced: refused, and said so');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM notenforced.arch'), '1', 'route 34: the row is there');
	is(events('notenforced'), 'delete logged 1, delete blocked 1', 'route 34: in the log');

	# Made after a session has come to know the table.
	$stderr = try('late', q{
		CREATE TABLE arch (id int PRIMARY KEY); INSERT INTO arch VALUES (1), (2), (3); SELECT delete_guard.protect('arch');
		CREATE TABLE fk (arch_id int); INSERT INTO fk VALUES (1); ALTER TABLE fk OWNER TO alice; GRANT REFERENCES ON arch TO alice},
		'DELETE FROM arch WHERE id = 2; ALTER TABLE fk ADD FOREIGN KEY (arch_id) REFERENCES arch NOT ENFORCED; DELETE FROM arch WHERE id = 3; DELETE FROM arch WHERE id = 1');
	like($stderr, qr/ERROR:  23001:.*"fk" \(arch_id\), not enforced, would dangle/s, 'route 34: one that is made later: refused');
	is(events('late'), 'delete logged 1, delete logged 1, delete blocked 1', 'route 34: one that is made later: in the log');

	# Periods: a row refers to several that together contain its period.
	$node->safe_psql('postgres', 'CREATE EXTENSION btree_gist');
	$stderr = try('period', q{CREATE TABLE room (id int, valid daterange, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
		CREATE TABLE booking (room_id int, valid daterange, FOREIGN KEY (room_id, PERIOD valid) REFERENCES room (id, PERIOD valid));
		INSERT INTO room VALUES (1, '[2026-01-01,2026-02-15)'), (1, '[2026-02-15,2027-01-01)'), (1, '[2027-01-01,2028-01-01)'), (2, '[2026-01-01,2027-01-01)');
		INSERT INTO booking VALUES (1, '[2026-02-01,2026-03-01)'); SELECT delete_guard.protect('room')},
		q{DELETE FROM room WHERE id = 2; DELETE FROM room WHERE valid @> date '2027-06-01'; DELETE FROM room WHERE valid @> date '2026-01-01'; UPDATE room SET id = 3 WHERE valid @> date '2026-03-01'});
	is(scalar(() = $stderr =~ /ERROR:  23001:[^\n]*1 of 1 rows\nDETAIL:[^\n]*1 row of "booking"/g), 2, 'route 32: a period that several rows contain together refers to each: refused');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM period.room'), '2', 'route 32: those rows are there');
	is($node->safe_psql('postgres', q{SELECT rows || ': ' || coalesce(postgres, '') FROM delete_guard.preview_delete('period.room', 'id = 1') WHERE depth = 1}),
		'1: would refuse: 1 row still refers to what goes', 'preview: the row is counted once');
	is(events('period'), 'delete logged 1, delete logged 1, delete blocked 1, key change blocked 1', 'route 32: in the log');

	# NOT NULL of a key column is a constraint with a name.
	$node->safe_psql('postgres', q{CREATE SCHEMA wanted; CREATE TABLE wanted.arch (id int NOT NULL UNIQUE, other int NOT NULL); SELECT delete_guard.protect('wanted.arch')});
	(undef, undef, $stderr) = $node->psql('postgres', 'ALTER TABLE wanted.arch DROP CONSTRAINT arch_id_not_null', extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($stderr, qr/ERROR:  42501:.*ALTER TABLE wanted\.arch DROP CONSTRAINT arch_id_not_null/s, 'route 51: NOT NULL of a key column, by its name: refused');
	is($node->safe_psql('postgres', q{SELECT attnotnull FROM pg_attribute WHERE attrelid = 'wanted.arch'::regclass AND attname = 'id'}), 't', 'route 51: it is there');
	is($node->psql('postgres', 'ALTER TABLE wanted.arch DROP CONSTRAINT arch_other_not_null'), 0, 'route 51: of another column it may go');
	$node->safe_psql('postgres', q{CREATE TABLE wanted.pt (id int NOT NULL UNIQUE) PARTITION BY RANGE (id);
		CREATE TABLE wanted.pt1 PARTITION OF wanted.pt FOR VALUES FROM (0) TO (10); SELECT delete_guard.protect('wanted.pt')});
	foreach my $command ('ALTER TABLE ONLY wanted.pt DROP CONSTRAINT pt_id_not_null', 'ALTER TABLE wanted.pt1 DROP CONSTRAINT pt_id_not_null')
	{
		(undef, undef, $stderr) = $node->psql('postgres', $command, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
		like($stderr, qr/ERROR:  42501:.*without an approval/s, "route 51: $command: refused");
	}
}

$node->stop;
done_testing();

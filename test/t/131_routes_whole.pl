# Routes by which a superuser would switch off the guard as a whole or empty its
# log: routes 81, 82, 83, 84, 160 and 162, each refused and recorded while a table is in
# block mode, and free when none is protected.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE ROLE bob LOGIN;
	CREATE ROLE extension_owner SUPERUSER LOGIN;
	SET ROLE extension_owner;
	CREATE EXTENSION delete_guard;
	RESET ROLE;
	CREATE TABLE arch (id int PRIMARY KEY);
	CREATE TABLE soft (arch_id int);
	INSERT INTO arch VALUES (1);
	INSERT INTO soft VALUES (1);
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('soft', '{arch_id}', 'arch');
	SELECT delete_guard.add_approver('bob');
	CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
});

# What the guard consists of.
my $members = q{SELECT string_agg(pg_describe_object(classid, objid, 0), E'\n' ORDER BY 1) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
	WHERE refclassid = 'pg_extension'::regclass AND extname = 'delete_guard' AND deptype = 'e'};
my $sources = q{SELECT md5(string_agg(concat_ws(' ', p.oid, prosrc, provolatile, prosecdef, proconfig), ',' ORDER BY p.oid)) FROM pg_proc p WHERE pronamespace = 'delete_guard'::regnamespace};
my $triggers = q{SELECT string_agg(concat_ws(' ', tgrelid::regclass, tgname, tgenabled), ',' ORDER BY tgrelid, tgname) FROM pg_trigger WHERE NOT tgisinternal};
my %before = map { $_ => $node->safe_psql('postgres', $_) } ($members, $sources, $triggers);
my $nblocked = q{SELECT coalesce(sum(repeats + 1), 0) FROM delete_guard.audit_log WHERE outcome = 'blocked'};

for my $try (
	[ 81, 'DROP EXTENSION delete_guard' ],
	[ 81, 'DROP EXTENSION delete_guard CASCADE' ],
	[ 82, 'DROP SCHEMA delete_guard CASCADE' ],
	[ 82, 'DROP OWNED BY extension_owner CASCADE' ],
	[ 83, 'DROP FUNCTION delete_guard._guard_rows() CASCADE' ],
	[ 84, 'ALTER EXTENSION delete_guard DROP FUNCTION delete_guard._guard_rows()' ],
	[ 84, 'ALTER FUNCTION delete_guard._guard_rows() RENAME TO other' ],
	[ 84, q{CREATE OR REPLACE FUNCTION delete_guard._guard_rows() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'} ],
	[ 160, 'CREATE TRIGGER t BEFORE INSERT ON delete_guard.event FOR EACH ROW EXECUTE FUNCTION mine()' ],
	[ 160, q{ALTER TABLE delete_guard.event ALTER reason SET DEFAULT 'x'} ],
	[ 160, 'ALTER TABLE delete_guard.event DISABLE TRIGGER ALL' ],
	[ 160, 'CREATE RULE r AS ON INSERT TO delete_guard.event DO INSTEAD NOTHING' ],
	[ 162, 'DROP EXTENSION delete_guard CASCADE; CREATE EXTENSION delete_guard' ])
{
	my ($number, $sql) = @$try;
	my $blocked = $node->safe_psql('postgres', $nblocked);
	my $offset = -s $node->logfile;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($stderr, qr/ERROR:  (42501|2BP01):/, "route $number: $sql: refused");
	is($node->safe_psql('postgres', $_), $before{$_}, "route $number: $sql: nothing changed") for ($members, $sources, $triggers);
	# PostgreSQL itself refuses some, and then there is nothing to record.  A command that
	# holds a lock on the log itself is in the server's log.
	next unless $stderr =~ /42501/;
	ok($node->safe_psql('postgres', $nblocked) > $blocked
		  || slurp_file($node->logfile, $offset) =~ /delete_guard: attempt not stored.*\Q$sql\E/, "route $number: $sql: in a log");
}

# With nothing protected they are free.
my ($rc, $stdout, $stderr) = $node->psql('postgres', q{SELECT delete_guard.unprotect('arch')});
my ($r) = $stderr =~ /delete_guard\.approve\((\d+)\)/;
$node->safe_psql('postgres', "SELECT delete_guard.approve($r)", extra_params => [ '-U', 'bob' ]);
$node->safe_psql('postgres', "BEGIN; SET LOCAL delete_guard.approval = $r; SELECT delete_guard.unprotect('arch'); COMMIT");
$node->safe_psql('postgres', 'DROP EXTENSION delete_guard');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'delete_guard'}), '0', 'with nothing protected the extension can be dropped');

$node->stop;
done_testing();

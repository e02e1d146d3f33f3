# Memory of a DELETE of one row that cascades to very many: with the guard, which
# stores the images of all of them, about that of the plain DELETE.
#
# DG_CAPTURE_ROWS sets how many rows it cascades to.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'the memory of a process is told in /proc' if !-r '/proc/self/status';

my $rows = $ENV{DG_CAPTURE_ROWS} // 400_000;
# of rows of protected tables so many are remembered (DG_STORED_MAX)
my $remembered = 500_000;
my $allowed_mb = 12;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\njit = off\nshared_buffers = 4MB\nmax_wal_size = 4GB\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION delete_guard');

# Most memory in MB that a session takes for the DELETE
sub memory
{
	my $out = $node->safe_psql('postgres', q{
		SELECT pg_backend_pid() AS pid \gset
		DELETE FROM p WHERE id = 1;
		\setenv DG_PID :pid
		\! grep VmHWM /proc/$DG_PID/status
	});
	return $out =~ /VmHWM:\s+(\d+) kB/ ? $1 / 1024 : die "no VmHWM in: $out";
}

sub make_tables
{
	my ($with_grandchildren, $n) = @_;
	$node->safe_psql('postgres', qq{
		DROP TABLE IF EXISTS g, c, p;
		CREATE TABLE p (id int PRIMARY KEY);
		CREATE TABLE c (id int PRIMARY KEY, p int NOT NULL REFERENCES p ON DELETE CASCADE, t text);
		INSERT INTO p VALUES (1);
		INSERT INTO c SELECT i, 1, 'row ' || i FROM generate_series(1, $n) i;
		CREATE INDEX ON c (p);
	} . ($with_grandchildren ? qq{
		CREATE TABLE g (id int PRIMARY KEY, c int REFERENCES c ON DELETE CASCADE);
		INSERT INTO g SELECT i, i FROM generate_series(1, $n, 20) i;
		CREATE INDEX ON g (c);} : ''));
	return;
}

my $event = q{(SELECT max(event_id) FROM delete_guard.audit_log WHERE operation = 'delete' AND table_name = 'public.p')};

foreach my $with_grandchildren (0, 1)
{
	my $name = $with_grandchildren ? 'rows that others refer to' : 'rows that nothing refers to';
	make_tables($with_grandchildren, $rows);
	my $plain = memory();
	make_tables($with_grandchildren, $rows);
	$node->safe_psql('postgres', "SELECT delete_guard.protect('p', 'log')");
	my $guarded = memory();
	note sprintf('%s, %d of them: %.1f MB plain, %.1f MB guarded', $name, $rows, $plain, $guarded);
	cmp_ok($guarded, '<', $plain + $allowed_mb, "$name: memory");
	is($node->safe_psql('postgres', "SELECT count(*) FROM delete_guard.audit_rows WHERE event_id = $event"),
		1 + $rows + ($with_grandchildren ? $rows / 20 : 0), "$name: all are stored");
	$node->safe_psql('postgres', "SELECT delete_guard.unprotect('p')");
}

# Rows of a protected table: more than are remembered are stored a second time.
my $n = $remembered + 1000;
make_tables(0, $n);
$node->safe_psql('postgres', q{SELECT delete_guard.protect('p', 'log'); SELECT delete_guard.protect('c', 'log')});
my $guarded = memory();
note sprintf('%d rows of a protected table: %.1f MB', $n, $guarded);
is($node->safe_psql('postgres', "SELECT count(*) FROM delete_guard.audit_rows WHERE event_id = $event"), 1 + $n, 'protected: all are stored');
is($node->safe_psql('postgres', q{SELECT row_count, (SELECT count(*) FROM delete_guard.audit_rows r WHERE r.event_id = e.event_id)
	FROM delete_guard.audit_log e WHERE operation = 'delete' AND table_name = 'public.c'}), "$n|1000", 'protected: those not remembered once more');
is($node->safe_psql('postgres', "SELECT action, count(*) FROM delete_guard.restore($event) GROUP BY 1"), 'insert|' . ($n + 1), 'all come back');
is($node->safe_psql('postgres', "SELECT count(*) FROM c"), $n, 'they are there');

$node->stop;
done_testing();

-- Rows for schema.sql: the same every time. Nothing with a real foreign key
-- points at i586, as on the day of the incident: the delete went through.

INSERT INTO architectures (name, available)
SELECT name, name IN ('aarch64', 'armv7l', 'i586', 'local', 'ppc64le', 'riscv64', 's390x', 'x86_64')
  FROM unnest('{aarch64,aarch64_ilp32,armv4l,armv5l,armv6l,armv7l,armv8l,hppa,i586,i686,ia64,k1om,local,
                m68k,mips,mips32,mips64,ppc,ppc64,ppc64p7,ppc64le,riscv64,s390,s390x,sparc,sparc64,
                sparc64v,sparcv8,sparcv9,sparcv9v,x86_64}'::text[]) WITH ORDINALITY AS a(name, nr)
 ORDER BY nr;

INSERT INTO distributions (vendor, version, name, project, reponame, repository, link)
SELECT vendor, version, name, project, reponame, 'standard', 'https://' || vendor || '.example/'
  FROM (VALUES
    ('opensuse', 'Tumbleweed', 'openSUSE Tumbleweed',          'openSUSE:Factory',         'openSUSE_Tumbleweed'),
    ('opensuse', '15.4',       'openSUSE Leap 15.4',           'openSUSE:Leap:15.4',       '15.4'),
    ('opensuse', '15.5',       'openSUSE Leap 15.5',           'openSUSE:Leap:15.5',       '15.5'),
    ('opensuse', 'MicroOS',    'openSUSE MicroOS',             'openSUSE:Factory:MicroOS', 'MicroOS'),
    ('suse',     '12-SP5',     'SUSE Linux Enterprise 12 SP5', 'SUSE:SLE-12-SP5:GA',       'SLE_12_SP5'),
    ('suse',     '15-SP3',     'SUSE Linux Enterprise 15 SP3', 'SUSE:SLE-15-SP3:GA',       'SLE_15_SP3'),
    ('suse',     '15-SP4',     'SUSE Linux Enterprise 15 SP4', 'SUSE:SLE-15-SP4:GA',       'SLE_15_SP4'),
    ('suse',     '15-SP5',     'SUSE Linux Enterprise 15 SP5', 'SUSE:SLE-15-SP5:GA',       'SLE_15_SP5'),
    ('debian',   '10',         'Debian 10',                    'Debian:10',                'Debian_10'),
    ('debian',   '11',         'Debian 11',                    'Debian:11',                'Debian_11'),
    ('debian',   '12',         'Debian 12',                    'Debian:12',                'Debian_12'),
    ('debian',   'testing',    'Debian testing',               'Debian:Testing',           'Debian_Testing'),
    ('ubuntu',   '20.04',      'Ubuntu 20.04',                 'Ubuntu:20.04',             'xUbuntu_20.04'),
    ('ubuntu',   '22.04',      'Ubuntu 22.04',                 'Ubuntu:22.04',             'xUbuntu_22.04'),
    ('ubuntu',   '23.04',      'Ubuntu 23.04',                 'Ubuntu:23.04',             'xUbuntu_23.04'),
    ('fedora',   '37',         'Fedora 37',                    'Fedora:37',                'Fedora_37'),
    ('fedora',   '38',         'Fedora 38',                    'Fedora:38',                'Fedora_38'),
    ('fedora',   'rawhide',    'Fedora Rawhide',               'Fedora:Rawhide',           'Fedora_Rawhide'),
    ('centos',   '8-stream',   'CentOS 8 Stream',              'CentOS:CentOS-8:Stream',   'CentOS_8_Stream'),
    ('arch',     'extra',      'Arch Extra',                   'Arch:Extra',               'Arch'),
    ('mageia',   '8',          'Mageia 8',                     'Mageia:8',                 'Mageia_8'),
    ('mageia',   'cauldron',   'Mageia Cauldron',              'Mageia:Cauldron',          'Mageia_Cauldron')
  ) AS d(vendor, version, name, project, reponame);

-- Every distribution has x86_64; the ones with 32-bit packages have i586 too,
-- among them Debian 12.
INSERT INTO architectures_distributions (distribution_id, architecture_id)
SELECT d.id, a.id
  FROM distributions d JOIN architectures a
    ON a.name = 'x86_64'
    OR (a.name = 'i586' AND (d.vendor IN ('debian', 'mageia') OR d.version = 'Tumbleweed'))
    OR (a.name = 'aarch64' AND d.vendor IN ('opensuse', 'suse', 'fedora'))
    OR (a.name IN ('ppc64le', 's390x') AND d.vendor = 'suse')
 ORDER BY d.id, a.id;

INSERT INTO projects (name, title, description)
SELECT project, name, 'Packages of ' || name FROM distributions ORDER BY id;
INSERT INTO projects (name, title, description)
SELECT 'home:user' || n, 'Home of user' || n, CASE WHEN n % 3 = 0 THEN 'Packages that user' || n || ' tries out' END
  FROM generate_series(1, 478) AS n;

-- 500 projects with 4 repositories, each for 5 architectures.
INSERT INTO repositories (db_project_id, name)
SELECT p.id, r.name
  FROM projects p CROSS JOIN (VALUES (1, 'openSUSE_Tumbleweed'), (2, '15.5'), (3, 'Debian_12'), (4, 'Fedora_38')) AS r(nr, name)
 ORDER BY p.id, r.nr;

INSERT INTO repository_architectures (repository_id, architecture_id, position)
SELECT r.id, a.id, n
  FROM repositories r CROSS JOIN generate_series(0, 4) AS n
  JOIN architectures a ON a.name = (ARRAY['x86_64', 'aarch64', 'ppc64le', 's390x',
                                          (ARRAY['armv7l', 'riscv64', 'i686', 'armv6l'])[r.id % 4 + 1]])[n + 1]
 ORDER BY r.id, n;

INSERT INTO flags (status, repo, project_id, package_id, architecture_id, position, flag)
SELECT (ARRAY['enable', 'disable'])[n % 2 + 1], CASE WHEN n % 4 = 0 THEN '15.5' END, n % 500 + 1,
       CASE WHEN n % 5 = 0 THEN n END, a.id, n % 7 + 1,
       (ARRAY['build', 'publish', 'debuginfo', 'useforbuild'])[n % 4 + 1]
  FROM generate_series(1, 1500) AS n
  LEFT JOIN architectures a ON a.name = (ARRAY['x86_64', 'aarch64', 's390x', NULL])[n % 4 + 1]
 ORDER BY n;

INSERT INTO channel_binary_lists (project_id, repository_id, architecture_id)
SELECT r.db_project_id, r.id, a.id
  FROM repositories r
  LEFT JOIN architectures a ON a.name = (ARRAY['x86_64', 's390x', NULL])[r.id % 3 + 1]
 WHERE r.id <= 60
 ORDER BY r.id;

INSERT INTO channel_binaries (name, channel_binary_list_id, architecture_id)
SELECT 'binary' || n, n % 60 + 1, a.id
  FROM generate_series(1, 600) AS n
  LEFT JOIN architectures a ON a.name = (ARRAY['x86_64', 'aarch64', NULL])[n % 3 + 1]
 ORDER BY n;

-- 40 of these name i586.
INSERT INTO download_repositories (repository_id, arch, url, repotype)
SELECT r.id, (ARRAY['x86_64', 'aarch64', 'i586', 's390x', 'ppc64le'])[r.id / 10 % 5 + 1],
       'https://download.example/' || r.id || '/', (ARRAY['rpmmd', 'deb', 'susetags'])[r.id % 3 + 1]
  FROM repositories r
 WHERE r.id % 10 = 0
 ORDER BY r.id;

INSERT INTO comments (body, parent_id, user_id, commentable_type, commentable_id)
SELECT 'Comment ' || n, CASE WHEN n % 10 = 0 THEN n - 1 END, n % 90 + 1,
       (ARRAY['Project', 'Package', 'BsRequest'])[n / 10 % 3 + 1], n / 10 % 500 + 1
  FROM generate_series(1, 3000) AS n
 ORDER BY n;

ANALYZE architectures, distributions, architectures_distributions, projects, repositories, repository_architectures,
        flags, channel_binary_lists, channel_binaries, download_repositories, comments;

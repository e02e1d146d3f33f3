-- suggest_references(): associations that nobody declared, found by name, type and values
SELECT current_user AS super \gset
SET client_min_messages = warning;
CREATE SCHEMA dg_suggest AUTHORIZATION regress_dg_owner;
CREATE SCHEMA dg_suggest_too AUTHORIZATION regress_dg_owner;
GRANT USAGE ON SCHEMA dg_suggest TO PUBLIC;
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_suggest;
-- only the tables of this file, in brief
CREATE VIEW found AS
    SELECT * FROM (
        SELECT score, concat(referencing, ' ', referencing_columns, ' -> ' || referenced, ' ' || referenced_columns::text,
                             ' WHERE ' || condition) AS suggestion, evidence
        FROM delete_guard.suggest_references(min_score => 0)
        WHERE (SELECT relnamespace FROM pg_class WHERE oid = referencing) = 'dg_suggest'::regnamespace) AS s
    ORDER BY score DESC, suggestion COLLATE "C", evidence COLLATE "C";
GRANT SELECT ON found TO PUBLIC;

-- The schema of the incident.  distributions.project holds names of projects indeed.
\set ECHO errors
\i examples/incident/schema.sql
\i examples/incident/data.sql
\set ECHO all
SELECT * FROM found;
SELECT declaration FROM delete_guard.suggest_references('architectures') ORDER BY declaration COLLATE "C";
-- what is declared is found no more; each call can be run as it stands
SELECT declaration FROM delete_guard.suggest_references() AS s
WHERE declaration IS NOT NULL AND (SELECT relnamespace FROM pg_class WHERE oid = s.referencing) = 'dg_suggest'::regnamespace
ORDER BY declaration COLLATE "C"
\gexec
SELECT * FROM found;
SELECT name, condition FROM delete_guard.references_to('projects') WHERE kind = 'declared' ORDER BY 1;
SELECT delete_guard.forget_reference(name) FROM (
    SELECT name FROM delete_guard.references_to('architectures') WHERE kind = 'declared'
    UNION SELECT name FROM delete_guard.references_to('projects') WHERE kind = 'declared'
    UNION SELECT name FROM delete_guard.references_to('distributions') WHERE kind = 'declared') AS r ORDER BY name;
-- protect() tells of the plain ones
SET client_min_messages = notice;
BEGIN;
SELECT delete_guard.protect('distributions');
ROLLBACK;

-- ignored: for a table, for all
SET client_min_messages = warning;
SELECT delete_guard.ignore_suggestion('distributions', '{project}', 'projects', 'a name of another server');
SELECT delete_guard.ignore_suggestion('comments', '{commentable_id}');
SELECT delete_guard.ignore_suggestion('architectures_distributions', '{architecture_id}', 'distributions');
SELECT suggestion FROM found;
SELECT referencing, referencing_columns, referenced, reason, ignored_by FROM delete_guard.ignored_suggestions
ORDER BY referencing::text COLLATE "C";
SELECT delete_guard.unignore_suggestion('comments', '{commentable_id}');
SELECT delete_guard.unignore_suggestion('architectures_distributions', '{architecture_id}', 'distributions');
SELECT delete_guard.unignore_suggestion('distributions', '{project}');  -- fails: not for all
SELECT delete_guard.unignore_suggestion('distributions', '{project}', 'projects');
SELECT delete_guard.ignore_suggestion('distributions', '{nix}');  -- fails
SELECT delete_guard.ignore_suggestion('distributions', NULL);  -- fails
SELECT delete_guard.ignore_suggestion(NULL, '{nix}');  -- fails
SELECT count(*) FROM found;
\c - regress_dg_alice
SELECT delete_guard.ignore_suggestion('dg_suggest.distributions', '{project}');  -- fails
SELECT delete_guard.unignore_suggestion('dg_suggest.distributions', '{project}');  -- fails

-- A caller who may not read is told names and types only
SET search_path = dg_suggest;
SELECT * FROM found;
\c - regress_dg_owner
SET search_path = dg_suggest;
GRANT SELECT (arch) ON download_repositories TO regress_dg_alice;
GRANT SELECT (architecture_id), SELECT (distribution_id) ON architectures_distributions TO regress_dg_alice;
GRANT SELECT ON architectures TO regress_dg_alice;
\c - regress_dg_alice
SET search_path = dg_suggest;
SELECT * FROM found;
-- nor is he who has row security in his way
\c - regress_dg_owner
SET search_path = dg_suggest;
ALTER TABLE architectures ENABLE ROW LEVEL SECURITY;
CREATE POLICY half ON architectures USING (id < 3);
\c - regress_dg_alice
SET search_path = dg_suggest;
SELECT * FROM found WHERE suggestion LIKE '%architecture_id%';
\c - regress_dg_owner
SET client_min_messages = warning;
SET search_path = dg_suggest;
DROP TABLE download_repositories, architectures_distributions, channel_binaries, channel_binary_lists, comments,
    flags, repository_architectures, architectures, repositories, projects, distributions;

-- Ways of naming
CREATE TABLE people (id bigint PRIMARY KEY);
CREATE TABLE companies (id uuid PRIMARY KEY);
CREATE TABLE addresses (id int PRIMARY KEY);
CREATE TABLE statuses (id smallint PRIMARY KEY, code char(3) UNIQUE);
CREATE TABLE boxes (id int PRIMARY KEY);
CREATE TABLE bs_requests (id int PRIMARY KEY);
CREATE TABLE countries (code char(2) PRIMARY KEY);
CREATE TABLE film (film_id int PRIMARY KEY);
CREATE TABLE "Customer" ("customerId" int PRIMARY KEY);
CREATE TABLE blog_article (id int PRIMARY KEY);
CREATE TABLE tbl_hr (staff_no int PRIMARY KEY);
CREATE TABLE users (id int PRIMARY KEY, login varchar(40) UNIQUE);
CREATE TABLE tree (id int PRIMARY KEY, parent_id int);
CREATE TABLE naming (
    id int PRIMARY KEY, person_id int, company_id uuid, address_id int, status_id int, "bsRequestId" bigint,
    country_code varchar(2), film_id int, "CustomerID" int, article_id int, staff_no int, created_by int, owner_id bigint,
    fk_box int, id_box int, boxid int, home_address_id int, status_code text, user_login text, film int,
    -- no references: of another type, generic, or named after nothing
    box_id text, person uuid, position int, name text, code text, created_at date, login text, thing_id int, naming_id int);
SELECT suggestion, evidence FROM found WHERE suggestion NOT LIKE 'tree%';
SELECT suggestion FROM found WHERE suggestion LIKE 'tree%';
-- by values: missing ones speak against it, for texts nearly all must be there
INSERT INTO boxes SELECT generate_series(1, 10);
INSERT INTO users SELECT i, 'user' || i FROM generate_series(1, 100) AS i;
INSERT INTO naming (id, fk_box, id_box, boxid, user_login, created_by)
SELECT i, i % 10 + 1, i, i + 10, CASE WHEN i % 10 = 0 THEN 'gone' || i ELSE 'user' || i END, i FROM generate_series(1, 20) AS i;
SELECT * FROM found WHERE suggestion ~ 'box|user';
UPDATE naming SET user_login = 'gone' || id WHERE id % 3 = 0;
SELECT * FROM found WHERE suggestion ~ 'user';
INSERT INTO countries VALUES ('de'), ('dk');
INSERT INTO statuses VALUES (1, 'x');
UPDATE naming SET country_code = (ARRAY['de', 'dk'])[id % 2 + 1], status_code = 'x';
SELECT * FROM found WHERE suggestion ~ 'code';
-- the threshold
SELECT score, referencing_columns FROM delete_guard.suggest_references('boxes') ORDER BY 1 DESC, 2;
SELECT score, referencing_columns FROM delete_guard.suggest_references('boxes', 0.9) ORDER BY 1 DESC, 2;
-- all of them foreign keys: silence
ALTER TABLE naming DROP user_login, DROP boxid, DROP id_box;
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT referencing, referencing_columns, referenced, referenced_columns
             FROM delete_guard.suggest_references(min_score => 0) AS s
             WHERE (SELECT relnamespace FROM pg_class WHERE oid = referencing) = 'dg_suggest'::regnamespace LOOP
        EXECUTE format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES %s (%I)',
                       r.referencing, r.referencing_columns[1], r.referenced, r.referenced_columns[1]);
    END LOOP;
END $$;
SELECT * FROM found;
DROP TABLE naming, people, companies, addresses, statuses, boxes, bs_requests, countries, film, "Customer", blog_article,
    tbl_hr, users, tree;

-- The nearest schema: a table of the same name elsewhere does not count
CREATE TABLE teams (id int PRIMARY KEY, name text UNIQUE);
CREATE TABLE dg_suggest_too.teams (id int PRIMARY KEY);
CREATE TABLE dg_suggest_too.games (id int PRIMARY KEY);
CREATE TABLE members (team_id int, game_id int, team text);
SELECT suggestion FROM found;
-- partitions and children: the table at the top is named, with what is in all of them
CREATE TABLE logs (team_id int) PARTITION BY RANGE (team_id);
CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (10);
CREATE TABLE logs_2 PARTITION OF logs FOR VALUES FROM (10) TO (20);
CREATE TABLE child () INHERITS (members);
INSERT INTO teams VALUES (1, 'red'), (2, 'blue');
INSERT INTO logs VALUES (1), (12);
INSERT INTO child VALUES (2, NULL, 'blue');
SELECT suggestion, evidence FROM found WHERE suggestion ~ 'team';
DROP TABLE logs, child, members, teams;
CALL dg_test.release('dg_suggest_too');
DROP SCHEMA dg_suggest_too CASCADE;

-- Polymorphic pairs
CREATE TABLE admin_users (id int PRIMARY KEY);
CREATE TABLE bs_requests (id int PRIMARY KEY);
CREATE TABLE posts (id int PRIMARY KEY);
CREATE TABLE accounts (id int PRIMARY KEY);
INSERT INTO admin_users VALUES (1), (2);
INSERT INTO bs_requests VALUES (5);
INSERT INTO posts VALUES (7);
INSERT INTO accounts VALUES (1);
CREATE TABLE notes (about_type text, about_id int, subject text, subject_id int, account_type text, account_id int,
    empty_type text, empty_id int);
INSERT INTO notes VALUES ('Admin::User', 1, 'post', 7, 'savings', 1), ('Admin::User', 3, 'post', 7, 'savings', 1),
    ('BsRequest', 5, NULL, 1, NULL, NULL), ('App\Models\Post', 7, 'posts', 7, NULL, NULL),
    ('It''s', 1, 'post', 8, 'giro', 1), (NULL, 9, NULL, NULL, NULL, NULL);
SELECT * FROM found;
SELECT declaration FROM delete_guard.suggest_references('bs_requests');
SELECT delete_guard.declare_reference('notes', '{about_id}', 'posts', condition => $$about_type = 'App\Models\Post'$$);
SELECT suggestion FROM found WHERE suggestion LIKE '%about%';
SELECT delete_guard.forget_reference('notes_about_id');
DROP TABLE notes, admin_users, bs_requests, posts, accounts;

-- Nothing that the owner of a table has attached to it runs with the rights of the caller
CREATE FUNCTION whose() RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user <> 'regress_dg_owner' THEN
        RAISE EXCEPTION 'run as %', current_user;
    END IF;
    RETURN true;
END $$;
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TABLE paints (id colour PRIMARY KEY);
CREATE TABLE doors (id int PRIMARY KEY, name text UNIQUE);
CREATE TABLE houses (door_id int, paint_id colour, door text, CHECK (whose()));
CREATE INDEX ON houses (door_id) WHERE whose();
CREATE INDEX ON doors (id) WHERE whose();
CREATE VIEW door_view AS SELECT 1 AS door_id;
INSERT INTO doors VALUES (1, 'a');
INSERT INTO paints VALUES ('red');
INSERT INTO houses VALUES (1, 'red', 'a');
CREATE DOMAIN number AS int CHECK (VALUE > 0 AND whose());
ALTER TABLE houses ADD old_door_id number;
UPDATE houses SET old_door_id = 1;
ALTER TABLE houses ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT * FROM found;
ALTER TABLE houses NO FORCE ROW LEVEL SECURITY;
\c - :super
SET search_path = dg_suggest;
SELECT * FROM found;
-- an owner who has no right to read: no values
REVOKE SELECT ON houses FROM regress_dg_owner;
SELECT * FROM found;
-- a large table is sampled, and the same way each time
SET client_min_messages = warning;
CREATE TABLE big (id bigint PRIMARY KEY, door_id int, pad text);
INSERT INTO big SELECT i, 1, repeat('x', 1500) FROM generate_series(1, 15000) AS i;
SELECT score, suggestion, regexp_replace(evidence, 'in [0-9]+ sampled', 'in some sampled') AS evidence FROM found WHERE suggestion LIKE 'big%';
SELECT (SELECT evidence FROM found WHERE suggestion LIKE 'big%') = (SELECT evidence FROM found WHERE suggestion LIKE 'big%') AS same;

-- a pair of which the name is also a table's: its types tell whether it is one
CREATE TABLE invoices (number int PRIMARY KEY);
CREATE TABLE items (id int PRIMARY KEY);
CREATE TABLE accounts (id int PRIMARY KEY);
CREATE TABLE versions (id int PRIMARY KEY, item_type text, item_id int, account_type text, account_id int);
INSERT INTO items SELECT generate_series(1, 50);
INSERT INTO invoices SELECT generate_series(1, 100);
INSERT INTO accounts VALUES (1);
SELECT score, suggestion, evidence FROM found WHERE suggestion LIKE 'versions%';
INSERT INTO versions SELECT i, CASE WHEN i % 2 = 0 THEN 'Invoice' ELSE 'Item' END, i, 'savings', 1 FROM generate_series(1, 40) AS i;
SELECT score, suggestion, evidence FROM found WHERE suggestion LIKE 'versions%';
UPDATE versions SET account_type = CASE WHEN id % 3 = 0 THEN 'door' ELSE 'checking' END;
SELECT score, suggestion, evidence FROM found WHERE suggestion LIKE 'versions {account%';
DELETE FROM versions WHERE item_type = 'Item';
SELECT score, suggestion, evidence FROM found WHERE suggestion LIKE 'versions {item%';
-- protect() does not tell to declare it without its condition
SET client_min_messages = notice;
BEGIN;
SELECT delete_guard.protect('items');
ROLLBACK;
SET client_min_messages = warning;

-- a name in front of the other table's key; plurals with a doubled letter; of two tables the one that has the values
CREATE TABLE t_customer (customer_id int PRIMARY KEY);
CREATE TABLE t_invoice (id int PRIMARY KEY, customer_customer_id int, buyer_customer_id int);
CREATE TABLE quizzes (id int PRIMARY KEY);
CREATE TABLE buses (id int PRIMARY KEY);
CREATE TABLE toys (id int PRIMARY KEY, quiz_id int, bus_id int);
CREATE TABLE orders (id int PRIMARY KEY);
CREATE TABLE shop_order (id int PRIMARY KEY);
CREATE TABLE shop_orderline (id int PRIMARY KEY, order_id int);
CREATE TABLE orderline (id int PRIMARY KEY, order_id int);
INSERT INTO orders SELECT generate_series(1, 50);
INSERT INTO shop_order SELECT generate_series(1, 80);
INSERT INTO shop_orderline SELECT i, i FROM generate_series(1, 80) AS i;
INSERT INTO orderline SELECT i, i FROM generate_series(1, 50) AS i;
SELECT score, suggestion, evidence FROM found WHERE suggestion ~ '^(t_invoice|toys|.*orderline)';

-- Each change of the list is an event
SELECT operation, outcome, table_name, person, details FROM delete_guard.audit_log
WHERE operation ~ 'ignore' ORDER BY event_id;
CALL dg_test.release('dg_suggest');
DROP SCHEMA dg_suggest CASCADE;

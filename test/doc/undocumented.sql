-- Print what the extension has and :reference does not name. Helpers, whose
-- names begin with an underscore, are not for users.

LOAD 'delete_guard';
SET standard_conforming_strings = on;

SELECT 'function ' || proname || ': argument ' || arg
  FROM pg_proc p, unnest(proname || coalesce(proargnames, '{}')) AS arg
 WHERE pronamespace = 'delete_guard'::regnamespace AND proname !~ '^_'
   AND position('`' || arg || CASE WHEN arg = proname THEN '(' ELSE '' END IN :'reference') = 0
   AND position('`' || arg || '`' IN :'reference') = 0;

SELECT 'view ' || c.relname || ', column ' || a.attname
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.relnamespace = 'delete_guard'::regnamespace AND c.relkind = 'v' AND c.relname !~ '^_'
   AND (position('`' || c.relname || '`' IN :'reference') = 0
        OR position('`' || a.attname || '`' IN :'reference') = 0);

SELECT 'setting ' || name FROM pg_settings
 WHERE name LIKE 'delete_guard.%' AND position('`' || name || '`' IN :'reference') = 0;

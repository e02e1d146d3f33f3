-- Print what :meta (the text of META.json) lacks or has wrong.

SELECT 'missing: ' || key
  FROM unnest('{name,version,abstract,maintainer,license,provides,meta-spec}'::text[]) AS key
 WHERE NOT :'meta'::jsonb ? key;

SELECT 'not of the form 1.2.3: ' || version
  FROM (VALUES (:'meta'::jsonb ->> 'version'),
               (:'meta'::jsonb #>> '{provides,delete_guard,version}')) AS v(version)
 WHERE version IS NULL OR version !~ '^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)([a-z-][a-z0-9-]*)?$';

SELECT 'the version is not that of the extension: ' || (:'meta'::jsonb ->> 'version')
  FROM pg_available_extensions
 WHERE name = 'delete_guard' AND :'meta'::jsonb ->> 'version' !~ ('^' || replace(default_version, '.', '\.') || '(\.\d+)?$');

SELECT 'the file is not that of the version: ' || (:'meta'::jsonb #>> '{provides,delete_guard,file}')
  FROM pg_available_extensions
 WHERE name = 'delete_guard'
   AND :'meta'::jsonb #>> '{provides,delete_guard,file}' <> 'extension/delete_guard--' || default_version || '.sql';

SELECT 'no such release status: ' || (:'meta'::jsonb ->> 'release_status')
 WHERE :'meta'::jsonb ->> 'release_status' NOT IN ('stable', 'testing', 'unstable');

-- What the owner of the tables does once.

SELECT delete_guard.protect('architectures');

-- The associations that the database does not know of.
SELECT delete_guard.declare_reference('architectures_distributions', '{architecture_id}', 'architectures');
SELECT delete_guard.declare_reference('download_repositories', '{arch}', 'architectures', '{name}');

SELECT delete_guard.protect('projects');
SELECT delete_guard.declare_reference('comments', '{commentable_id}', 'projects',
                                      condition => $$commentable_type = 'Project'$$);

SELECT delete_guard.add_approver('bob', 'architectures');

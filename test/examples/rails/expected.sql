SELECT delete_guard.declare_reference('public."Event details"', '{event_id}', 'public.events', '{id}');  -- Event.has_one :detail
SELECT delete_guard.declare_reference('public.architectures_distributions', '{architecture_id}', 'public.architectures', '{id}');  -- Architecture.has_many :architectures_distributions
SELECT delete_guard.declare_reference('public.architectures_distributions', '{distribution_id}', 'public.distributions', '{id}');  -- Distribution.has_and_belongs_to_many :architectures
SELECT delete_guard.declare_reference('public.comments', '{commentable_id}', 'public.events', '{id}', condition => '"commentable_type" = ''Event''');  -- Comment.belongs_to :commentable, Build.has_many :comments
SELECT delete_guard.declare_reference('public.comments', '{commentable_id}', 'public.projects', '{id}', condition => '"commentable_type" = ''Project''');  -- Comment.belongs_to :commentable, Project.has_many :comments
SELECT delete_guard.declare_reference('public.download_repositories', '{arch}', 'public.architectures', '{name}');  -- Architecture.has_many :download_repositories
SELECT delete_guard.declare_reference('public.events', '{"done by"}', 'public.admin_users', '{id}');  -- Event.belongs_to :actor
SELECT delete_guard.declare_reference('public.events', '{subject_id}', 'public.admin_users', '{id}', condition => '"subject_type" = ''Admin::User''');  -- Event.belongs_to :subject, Admin::User.has_many :events
-- Admin::User.has_many :ghosts: there is no table ghosts
-- Event.belongs_to :nobody: polymorphic, and no model has events "as: :nobody"

SELECT delete_guard.declare_reference('public.architectures_distributions', '{architecture_id}', 'public.architectures', '{id}');  -- obs.ArchitecturesDistribution.architecture
SELECT delete_guard.declare_reference('public.architectures_distributions', '{distribution_id}', 'public.distributions', '{id}');  -- obs.ArchitecturesDistribution.distribution
SELECT delete_guard.declare_reference('public.download_repositories', '{arch}', 'public.architectures', '{name}');  -- obs.DownloadRepository.arch
SELECT delete_guard.declare_reference('public.obs_bug', '{Owner}', 'public.obs_person', '{id}');  -- obs.Bug.owner
SELECT delete_guard.declare_reference('public.obs_bug_labels', '{bug_id}', 'public.obs_bug', '{id}');  -- obs.Bug_labels.bug
SELECT delete_guard.declare_reference('public.obs_bug_labels', '{label_id}', 'public.obs_label', '{id}');  -- obs.Bug_labels.label
SELECT delete_guard.declare_reference('public.obs_tag', '{object_id}', 'public.architectures', '{id}', condition => 'content_type_id = 1');  -- obs.Tag.item to obs.Architecture
SELECT delete_guard.declare_reference('public.obs_tag', '{object_id}', 'public.obs_bug', '{id}', condition => 'content_type_id = 3');  -- obs.Tag.item to obs.Bug
-- obs.Tag.item: there is no model for content type 2, gone.thing
-- obs.Remark.about: column about_key cannot be compared with the primary key of obs.Bug
-- obs.Elsewhere.bug: there is no table no_such_table

-- Tables beside those of the incident, for models.rb
CREATE TABLE admin_users (id bigint PRIMARY KEY, name text);
CREATE TABLE events (id bigint PRIMARY KEY, type text, "done by" bigint, subject_type text, subject_id bigint,
                     nobody_type text, nobody_id bigint);
CREATE TABLE "Event details" (id bigint PRIMARY KEY, event_id bigint);

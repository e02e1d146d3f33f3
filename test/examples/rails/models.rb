# Models of the incident's tables as the application has them, and of a few
# tables more (more.sql) for the ways of associating that these do not show.
# Prints what examples/rails prints; then tries what it says about errors.

require "active_record"
ActiveRecord::Base.establish_connection(adapter: "postgresql", host: ENV["PGHOST"], port: ENV["PGPORT"],
                                        username: ENV["PGUSER"], database: ENV["PGDATABASE"])
ActiveSupport::Inflector.inflections { |i| i.acronym "DB" }

class ApplicationRecord < ActiveRecord::Base
  self.abstract_class = true
end

class Architecture < ApplicationRecord
  has_many :repository_architectures
  has_many :repositories, through: :repository_architectures
  has_many :architectures_distributions
  has_many :flags
  has_many :download_repositories, foreign_key: :arch, primary_key: :name
end

class Distribution < ApplicationRecord
  has_and_belongs_to_many :architectures
end

class ArchitecturesDistribution < ApplicationRecord
  belongs_to :architecture
end

class Project < ApplicationRecord
  has_many :comments, as: :commentable
  has_many :repositories, foreign_key: :db_project_id
end

class Repository < ApplicationRecord
  belongs_to :project, foreign_key: :db_project_id
  has_many :download_repositories
end

class RepositoryArchitecture < ApplicationRecord
  belongs_to :repository
  belongs_to :architecture
end

class DownloadRepository < ApplicationRecord
  belongs_to :repository
  belongs_to :architecture, foreign_key: :arch, primary_key: :name
end

class Flag < ApplicationRecord
  belongs_to :project
  belongs_to :architecture
  belongs_to :package
end

class Comment < ApplicationRecord
  belongs_to :commentable, polymorphic: true
  belongs_to :parent, class_name: "Comment"
end

# more.sql: one table for several classes, a name space, an odd table name, no table, no owner
class Event < ApplicationRecord
  belongs_to :actor, class_name: "Admin::User", foreign_key: "done by"
  belongs_to :subject, polymorphic: true
  belongs_to :nobody, polymorphic: true
  has_one :detail, class_name: "EventDetail"
end

class EventDetail < ApplicationRecord
  self.table_name = "Event details"
  belongs_to :event
end

class Build < Event
  has_many :comments, as: :commentable
end

module Admin
  class User < ApplicationRecord
    self.table_name = "admin_users"
    has_many :events, as: :subject
    has_many :ghosts
  end

  class Ghost < ApplicationRecord
  end
end

require File.expand_path("../../../examples/rails/declare_references", __dir__)

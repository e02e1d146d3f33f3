# Print the calls that declare to delete_guard what the models of a Rails
# application associate and the database has no foreign key for.
#
#   bin/rails runner declare_references.rb > declare_references.sql
#
# It reads models and catalogs and changes nothing. What is declared already, or
# is a foreign key, is left out; with ALL=1 it is printed too. What cannot be
# declared stands in a comment. See doc/rails.md.

module DeleteGuard
  class DeclareReferences
    # One association: which columns of which table refer to what, and in which rows.
    Reference = Struct.new(:from, :columns, :to, :keys, :type, :source) do
      def identity
        [from, columns, to, keys, type]
      end
    end

    def initialize(models: nil, all: false)
      @models = models || self.class.models
      @all = all
    end

    # Models with a table in the database that ActiveRecord::Base is connected to.
    def self.models
      ActiveRecord::Base.descendants.select do |model|
        !model.abstract_class? && model.name && !model.name.demodulize.start_with?("HABTM_") &&
          model.connection_pool == ActiveRecord::Base.connection_pool && model.table_exists?
      end.sort_by(&:name)
    end

    def lines
      @notes = []
      found = @models.flat_map { |model| references_of(model) }
      wanted = found.uniq(&:identity).reject { |r| !@all && known?(r) }
      calls = wanted.sort_by { |r| r.identity.map(&:to_s) }.map { |r| "#{call(r)}  -- #{r.source}" }
      calls + @notes.uniq.map { |note| "-- #{note}" }
    end

    private

    def references_of(model)
      own_associations(model).flat_map do |association|
        source = "#{model.name}.#{association.macro} :#{association.name}"
        begin
          references(model, association, source)
        rescue NameError, ActiveRecord::ActiveRecordError => e
          @notes << "#{source}: #{e.message.lines.first.strip}"
          []
        end
      end
    end

    # Without those that it has from the class above it.
    def own_associations(model)
      model.reflect_on_all_associations.reject do |association|
        model.superclass.respond_to?(:reflect_on_association) &&
          model.superclass.reflect_on_association(association.name) == association
      end
    end

    def references(model, association, source)
      return [] if association.through_reflection?

      case association.macro
      when :belongs_to
        association.polymorphic? ? belongs_to_any(model, association, source) : [belongs_to(model, association, source)]
      when :has_many, :has_one
        association.options[:as] ? [] : [has(model, association, source)]
      when :has_and_belongs_to_many
        both_sides(model, association, source)
      else
        []
      end.compact
    end

    def belongs_to(model, association, source)
      reference(model.table_name, association.foreign_key, association.klass,
                association.association_primary_key, nil, source)
    end

    def has(model, association, source)
      return if association.options[:through]

      reference(association.klass.table_name, association.foreign_key, model,
                association.active_record_primary_key, nil, source)
    end

    # A polymorphic association refers to every model that has it "as" its own.
    def belongs_to_any(model, association, source)
      owners = owners_of(model, association)
      if owners.empty?
        @notes << "#{source}: polymorphic, and no model has #{model.table_name} \"as: :#{association.name}\""
      end
      owners.map do |owner, there|
        reference(model.table_name, association.foreign_key, owner, there.active_record_primary_key,
                  [association.foreign_type, owner.polymorphic_name],
                  "#{source}, #{owner.name}.#{there.macro} :#{there.name}")
      end
    end

    # Pairs of model and association.
    def owners_of(model, association)
      @models.flat_map do |owner|
        there = owner.reflect_on_all_associations.find do |a|
          a.options[:as] == association.name && !a.through_reflection? && klass_of(a)&.table_name == model.table_name
        end
        there ? [[owner, there]] : []
      end
    end

    def klass_of(association)
      association.klass
    rescue NameError, ArgumentError
      nil
    end

    def both_sides(model, association, source)
      other = association.klass
      [reference(association.join_table, association.foreign_key, model, model.primary_key, nil, source),
       reference(association.join_table, association.association_foreign_key, other, other.primary_key, nil, source)]
    end

    def reference(from, columns, model, keys, type, source)
      columns = Array(columns).map(&:to_s)
      keys = Array(keys).map(&:to_s)
      problem = problem_with(from, columns, model, keys)
      return Reference.new(from, columns, model.table_name, keys, type, source) unless problem

      @notes << "#{source}: #{problem}"
      nil
    end

    def problem_with(from, columns, model, keys)
      return "#{model.name} has no primary key" if keys.empty?
      return "there is no table #{from}" unless connection.table_exists?(from)

      missing = columns - connection.columns(from).map(&:name)
      "#{from} has no column #{missing.join(', ')}" if missing.any?
    end

    # Is there a foreign key or a declaration? delete_guard knows both.
    def known?(reference)
      known_to(reference.to).any? do |row|
        row["from_oid"] == oid(reference.from) && row["columns"] == array(reference.columns) &&
          row["keys"] == array(reference.keys) &&
          (reference.type.nil? ? row["condition"].nil? : row["condition"].to_s.include?(connection.quote(reference.type[1])))
      end
    end

    def known_to(table)
      @known ||= {}
      @known[table] ||= connection.select_all(<<~SQL).to_a
        SELECT referencing::oid::text AS from_oid, referencing_columns::text AS columns,
               referenced_columns::text AS keys, condition
          FROM delete_guard.references_to(#{regclass(table)})
      SQL
    end

    def oid(table)
      connection.select_value("SELECT #{regclass(table)}::regclass::oid::text").to_s
    end

    def call(reference)
      from = qualified(reference.from)
      to = qualified(reference.to)
      arguments = [connection.quote(from), connection.quote(array(reference.columns)),
                   connection.quote(to), connection.quote(array(reference.keys))]
      if reference.type
        condition = "#{connection.quote_column_name(reference.type[0])} = #{connection.quote(reference.type[1])}"
        arguments << "condition => #{connection.quote(condition)}"
      end
      "SELECT delete_guard.declare_reference(#{arguments.join(', ')});"
    end

    # The name with its schema, so that the calls do not depend on search_path.
    def qualified(table)
      connection.select_value(<<~SQL)
        SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid = #{regclass(table)}::regclass
      SQL
    end

    def regclass(table)
      connection.quote(connection.quote_table_name(table))
    end

    # An array of names as PostgreSQL writes it.
    def array(names)
      "{#{names.map { |n| n.match?(/\A[a-z_][a-z0-9_]*\z/) ? n : %("#{n.gsub(/["\\]/) { "\\#{$&}" }}") }.join(',')}}"
    end

    def connection
      ActiveRecord::Base.connection
    end
  end
end

if defined?(Rails.application) && Rails.application
  Rails.application.eager_load!
  puts DeleteGuard::DeclareReferences.new(all: ENV["ALL"] == "1").lines
end

"""Print the calls that declare to delete_guard what the models of a Django
project associate and the database has no foreign key for.

Copy this file to management/commands/ of one of your applications, then

    manage.py declare_references > declare_references.sql

It reads models and catalogs and changes nothing. What is declared already, or is
a foreign key, is left out; with --all it is printed too. What cannot be declared
stands in a comment. See doc/django.md.
"""

import re

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.models import ForeignObject


class Command(BaseCommand):
    help = "Prints calls of delete_guard.declare_reference() for associations without a foreign key."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS)
        parser.add_argument("--all", action="store_true", help="also what the database knows already")

    def handle(self, *args, **options):
        self.stdout.write("\n".join(lines(options["database"], options["all"])))


class Reference:
    """Which columns of which table refer to what, and in which rows."""

    def __init__(self, table, columns, to, keys, source, condition=None):
        self.table, self.columns, self.to, self.keys = table, columns, to, keys
        self.source, self.condition = source, condition

    def identity(self):
        return (self.table, self.columns, self.to, self.keys, self.condition or ())


def lines(alias=DEFAULT_DB_ALIAS, everything=False):
    """The calls, sorted, and then what cannot be declared."""
    notes = []
    with connections[alias].cursor() as cursor:
        tables = set(connections[alias].introspection.table_names(cursor))
        found = {}
        for model in models_of(alias):
            for reference in references_of(model, alias, cursor, notes):
                found.setdefault(reference.identity(), reference)
        result = []
        for reference in sorted(found.values(), key=lambda r: repr(r.identity())):
            missing = {reference.table, reference.to} - tables
            if missing:
                notes.append(f"{reference.source}: there is no table {', '.join(sorted(missing))}")
            elif everything or not known(reference, cursor):
                result.append(f"{call(reference, cursor)}  -- {reference.source}")
    return result + [f"-- {note}" for note in dict.fromkeys(notes)]


def models_of(alias):
    """Models with a table of their own in this database, with those that many-to-many fields make."""
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy and not model._meta.swapped and router.allow_migrate_model(alias, model)
    ]


def references_of(model, alias, cursor, notes):
    for field in model._meta.local_fields:
        if isinstance(field, ForeignObject):
            yield from reference_of_key(model, field)
    for field in model._meta.private_fields:
        source = f"{model._meta.label}.{field.name}"
        if hasattr(field, "ct_field"):
            yield from references_of_generic_key(model, field, source, alias, cursor, notes)
        elif isinstance(field, ForeignObject) and not hasattr(field, "object_id_field_name"):
            yield from reference_of_key(model, field)


def reference_of_key(model, field):
    """ForeignKey, OneToOneField, ForeignObject: columns to columns."""
    pairs = field.related_fields
    yield Reference(
        model._meta.db_table,
        tuple(own.column for own, _ in pairs),
        pairs[0][1].model._meta.db_table,
        tuple(other.column for _, other in pairs),
        f"{model._meta.label}.{field.name}",
    )


def references_of_generic_key(model, field, source, alias, cursor, notes):
    """GenericForeignKey: to each model that its rows name, or that has a GenericRelation to it."""
    from django.contrib.contenttypes.models import ContentType

    meta = model._meta
    type_column = meta.get_field(field.ct_field).column
    id_field = meta.get_field(field.fk_field)
    types = set(related_types(model, field, alias))
    if meta.db_table in connections[alias].introspection.table_names(cursor):
        types |= set(model._base_manager.using(alias).order_by().values_list(field.ct_field, flat=True).distinct())
    if not types - {None}:
        notes.append(f"{source}: generic, and neither rows nor a GenericRelation name a model")
    for content_type in ContentType.objects.using(alias).filter(pk__in=types - {None}).order_by("pk"):
        to = content_type.model_class()
        if to is None:
            notes.append(f"{source}: there is no model for content type {content_type.pk}, "
                         f"{content_type.app_label}.{content_type.model}")
        elif family(id_field, alias) != family(to._meta.pk, alias):
            notes.append(f"{source}: column {id_field.column} cannot be compared with the primary key of {to._meta.label}")
        else:
            yield Reference(meta.db_table, (id_field.column,), to._meta.db_table, (to._meta.pk.column,),
                            f"{source} to {to._meta.label}", (type_column, content_type.pk))


def related_types(model, field, alias):
    """Content types of the models that have a GenericRelation to this field."""
    from django.contrib.contenttypes.models import ContentType

    for other in models_of(alias):
        for relation in other._meta.private_fields:
            if (getattr(relation, "object_id_field_name", None) == field.fk_field
                    and relation.content_type_field_name == field.ct_field
                    and relation.remote_field.model is model):
                yield ContentType.objects.db_manager(alias).get_for_model(
                    other, for_concrete_model=field.for_concrete_model).pk


def family(field, alias):
    """What values of a column can be compared with."""
    while field.remote_field:
        field = field.target_field
    db_type = re.sub(r"\(.*", "", field.db_type(connections[alias]) or "")
    if db_type.split(" ")[0] in ("smallint", "integer", "bigint", "serial", "bigserial", "smallserial"):
        return "integer"
    return "text" if db_type in ("varchar", "text", "character varying") else db_type


def known(reference, cursor):
    """Is there a foreign key or a declaration? delete_guard knows both."""
    cursor.execute(
        """
        SELECT condition FROM delete_guard.references_to(quote_ident(%s)::regclass)
         WHERE referencing = quote_ident(%s)::regclass
           AND referencing_columns = %s::name[] AND referenced_columns = %s::name[]
        """,
        [reference.to, reference.table, list(reference.columns), list(reference.keys)],
    )
    conditions = [row[0] for row in cursor.fetchall()]
    if reference.condition is None:
        return None in conditions
    wanted = re.compile(rf"\(?{re.escape(reference.condition[0])}\)? = {reference.condition[1]}\b")
    return any(c and wanted.search(c) for c in conditions)


def call(reference, cursor):
    """The call, with quoting and with the schemas of the tables."""
    condition = None
    if reference.condition:
        cursor.execute("SELECT format('%%I = %%s', %s::text, %s::text)", [reference.condition[0], str(reference.condition[1])])
        condition = cursor.fetchone()[0]
    cursor.execute(
        """
        SELECT format('SELECT delete_guard.declare_reference(%%L, %%L, %%L, %%L', q.t[1], %s::name[], q.t[2], %s::name[])
               || CASE WHEN %s THEN '' ELSE format(', condition => %%L', %s::text) END || ');'
          FROM (SELECT array_agg(format('%%I.%%I', n.nspname, c.relname) ORDER BY o) AS t
                  FROM unnest(ARRAY[%s, %s]) WITH ORDINALITY AS u(name, o)
                  JOIN pg_class c ON c.oid = quote_ident(u.name)::regclass
                  JOIN pg_namespace n ON n.oid = c.relnamespace) q
        """,
        [list(reference.columns), list(reference.keys), condition is None, condition, reference.table, reference.to],
    )
    return cursor.fetchone()[0]

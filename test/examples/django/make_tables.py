"""Make the tables that the application does not find, with some rows."""

import django

django.setup()

from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.db import connection  # noqa: E402
from obs.models import Architecture, Bug, Label, Person, Remark, Tag  # noqa: E402

with connection.schema_editor() as editor:
    for model in (ContentType, Person, Label, Bug, Tag, Remark):
        editor.create_model(model)
type_of = ContentType.objects.get_for_model
Person.objects.create(login="ann")
Tag.objects.create(content_type=type_of(Architecture), object_id=1)
Tag.objects.create(content_type=ContentType.objects.create(app_label="gone", model="thing"), object_id=1)
Remark.objects.create(about_type=type_of(Bug), about_key="1")

"""The incident's tables, and a few tables more for the ways of associating that
these do not show."""

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Architecture(models.Model):
    name = models.CharField(max_length=255, unique=True)

    class Meta:
        managed = False
        db_table = "architectures"


class Distribution(models.Model):
    name = models.CharField(max_length=255)
    architectures = models.ManyToManyField(Architecture, through="ArchitecturesDistribution")

    class Meta:
        managed = False
        db_table = "distributions"


class ArchitecturesDistribution(models.Model):
    architecture = models.ForeignKey(Architecture, models.DO_NOTHING)
    distribution = models.ForeignKey(Distribution, models.DO_NOTHING)

    class Meta:
        managed = False
        db_table = "architectures_distributions"


class Repository(models.Model):
    name = models.CharField(max_length=255)

    class Meta:
        managed = False
        db_table = "repositories"


class RepositoryArchitecture(models.Model):
    repository = models.ForeignKey(Repository, models.DO_NOTHING)
    architecture = models.ForeignKey(Architecture, models.DO_NOTHING)

    class Meta:
        managed = False
        db_table = "repository_architectures"


class DownloadRepository(models.Model):
    arch = models.ForeignKey(Architecture, models.DO_NOTHING, to_field="name", db_column="arch", db_constraint=False)

    class Meta:
        managed = False
        db_table = "download_repositories"


# Tables that Django makes.
class Label(models.Model):
    text = models.CharField(max_length=20)


class Bug(models.Model):
    owner = models.ForeignKey("Person", models.CASCADE, db_constraint=False, db_column="Owner")
    labels = models.ManyToManyField(Label, db_constraint=False)
    tags = GenericRelation("Tag")


class Person(models.Model):
    login = models.CharField(max_length=40, unique=True)
    boss = models.ForeignKey("self", models.SET_NULL, null=True)


class Manager(Person):
    class Meta:
        proxy = True


class Tag(models.Model):
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveIntegerField()
    item = GenericForeignKey()


class Remark(models.Model):
    about_type = models.ForeignKey(ContentType, models.CASCADE)
    about_key = models.TextField()
    about = GenericForeignKey("about_type", "about_key")


class Elsewhere(models.Model):
    bug = models.ForeignKey(Bug, models.CASCADE)

    class Meta:
        managed = False
        db_table = "no_such_table"

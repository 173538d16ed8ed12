"""What makes a table a tenant table: the model base, and the migration operations that tie it to its brand.

Django goes on calling `id` the primary key; in the database every key of a tenant table begins with `brand_id`."""

from typing import Any, ClassVar

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.models import CreateModel
from django.db.migrations.state import ProjectState
from django.db.models import Func, Value
from django.db.models.functions import Cast

# Tables without a brand, the complete list; a test compares it with pg_catalog.
GLOBAL_TABLES = (
    "tenants_agency",
    "tenants_brand",
    "tenants_user",
    "tenants_user_groups",
    "tenants_user_user_permissions",
    "tenants_seat",
    "tenants_apikey",
    "wecom_callbackendpoint",
    # What the installation is as a provider: met before any brand is known (decision 0016).
    "wecom_suite",
    "wecom_authorisationlink",
    "wecom_authorisation",
    "wecom_suitecommand",
    "events_logera",
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_admin_log",
    "django_content_type",
    "django_migrations",
    "django_session",
)


class TenantModel(models.Model):
    """A row of one brand. `brand` fills itself from the scope, also in bulk_create and related managers."""

    append_only: ClassVar[bool] = False
    """True: the runtime role may not UPDATE or DELETE rows of this table."""

    brand = models.ForeignKey(
        "tenants.Brand",
        models.PROTECT,
        db_index=False,
        db_constraint=False,
        editable=False,
        related_name="+",
        db_default=Cast(Func(Value("orchard.brand_id"), function="current_setting"), models.BigIntegerField()),
    )

    class Meta:
        abstract = True


def tenant_key(to: str | type[models.Model], on_delete: Any = models.CASCADE, **options: Any) -> Any:
    """A foreign key to a tenant table. `TenantTable` adds its constraint (brand_id, column); index it yourself."""
    options.setdefault("related_name", "+")
    return models.ForeignKey(to, on_delete, db_constraint=False, db_index=False, **options)


class TenantTable(Operation):
    """Last in the migration that creates a tenant model: brand-first keys, forced row-level security, policy."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Nothing that Django's state knows of."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Rewrite the primary key to begin with brand_id, add the foreign keys, force the policy."""
        meta = to_state.apps.get_model(app_label, self.model_name)._meta
        table = meta.db_table
        if not isinstance(meta.pk, models.CompositePrimaryKey):
            schema_editor.execute(
                f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, "
                f"ADD CONSTRAINT {table}_pkey PRIMARY KEY (brand_id, {meta.pk.column})"
            )
            _forget_index_for_like(schema_editor, table, meta.pk.column)
        schema_editor.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_brand_fk FOREIGN KEY (brand_id) REFERENCES tenants_brand (id)"
        )
        for field in meta.local_fields:
            if field.is_relation and field.name != "brand" and not field.db_constraint:
                _add_foreign_key(schema_editor, table, field.column, field.remote_field.model._meta.db_table)
        schema_editor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        schema_editor.execute(
            f"CREATE POLICY brand ON {table} USING (brand_id = current_setting('orchard.brand_id')::bigint)"
        )

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Take policy and foreign keys away; the table itself goes with its CreateModel."""
        meta = from_state.apps.get_model(app_label, self.model_name)._meta
        schema_editor.execute(f"DROP POLICY brand ON {meta.db_table}")
        schema_editor.execute(f"ALTER TABLE {meta.db_table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")

    def describe(self) -> str:
        """For `migrate --plan`."""
        return f"Make {self.model_name} a tenant table"


class AddTenantForeignKey(Operation):
    """The (brand_id, column) foreign key of a field added to a tenant table after its creation."""

    reversible = True

    def __init__(self, model_name: str, field_name: str) -> None:
        self.model_name = model_name
        self.field_name = field_name

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Nothing that Django's state knows of."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Add the constraint under NO FORCE: under FORCE it would be validated for one brand's rows only."""
        meta = to_state.apps.get_model(app_label, self.model_name)._meta
        field = meta.get_field(self.field_name)
        _add_foreign_key(schema_editor, meta.db_table, field.column, field.remote_field.model._meta.db_table)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Drop the constraint."""
        meta = from_state.apps.get_model(app_label, self.model_name)._meta
        column = meta.get_field(self.field_name).column
        schema_editor.execute(f"ALTER TABLE {meta.db_table} DROP CONSTRAINT {meta.db_table}_{column}_fk")

    def describe(self) -> str:
        """For `migrate --plan`."""
        return f"Tie {self.model_name}.{self.field_name} to its brand"


class CreatePartitionedModel(CreateModel):
    """CreateModel for a table partitioned by month ranges of `partition_by`; the state sees a plain model."""

    def __init__(self, *args: Any, partition_by: str, **options: Any) -> None:
        self.partition_by = partition_by
        super().__init__(*args, **options)

    def deconstruct(self) -> tuple[str, Any, Any]:
        """Keeps partition_by when a migration is written out again."""
        name, args, kwargs = super().deconstruct()
        return name, args, {**kwargs, "partition_by": self.partition_by}

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """CREATE TABLE … PARTITION BY RANGE."""
        plain = schema_editor.sql_create_table
        schema_editor.sql_create_table = plain + f" PARTITION BY RANGE ({self.partition_by})"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            schema_editor.sql_create_table = plain


def _add_foreign_key(editor: BaseDatabaseSchemaEditor, table: str, column: str, target: str) -> None:
    names = sorted({table, target})
    forced = []
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relname = ANY (%s) AND relforcerowsecurity", [names])
        forced = [row[0] for row in cursor.fetchall()]
    for name in forced:
        editor.execute(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")
    editor.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_fk "
        f"FOREIGN KEY (brand_id, {column}) REFERENCES {target} (brand_id, id)"
    )
    for name in forced:
        editor.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")


def _forget_index_for_like(schema_editor: BaseDatabaseSchemaEditor, table: str, column: str) -> None:
    """Django gives a key of text a second index for LIKE, of all brands together; it would be made after us."""
    waiting = schema_editor.deferred_sql
    schema_editor.deferred_sql = [
        each
        for each in waiting
        if not (isinstance(each, Statement) and each.references_column(table, column) and "_like" in str(each))
    ]

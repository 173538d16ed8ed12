import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from tenants.tables import TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0003_merging"),
    ]

    operations = [
        migrations.CreateModel(
            name="Reconciliation",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("day", models.DateField()),
                ("up_to", models.BigIntegerField(default=0)),
                ("guides", models.IntegerField(default=0)),
                ("calls", models.IntegerField(default=0)),
                ("added", models.IntegerField(default=0)),
                ("lost", models.IntegerField(default=0)),
                ("refused", models.IntegerField(default=0)),
                ("last_at", models.DateTimeField()),
                (
                    "brand",
                    models.ForeignKey(
                        db_constraint=False,
                        db_default=django.db.models.functions.comparison.Cast(
                            models.Func(models.Value("orchard.brand_id"), function="current_setting"),
                            models.BigIntegerField(),
                        ),
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.brand",
                    ),
                ),
                (
                    "corp",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="wecom.corp",
                    ),
                ),
            ],
            options={
                "verbose_name": "对账",
                "verbose_name_plural": "对账",
                "constraints": [models.UniqueConstraint(fields=("brand", "corp", "day"), name="reconciled_once")],
            },
        ),
        TenantTable("reconciliation"),
    ]

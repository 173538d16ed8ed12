import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from tenants.tables import TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0002_sending"),
    ]

    operations = [
        migrations.CreateModel(
            name="Welcome",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("is_on", models.BooleanField(default=False, verbose_name="启用")),
                ("text", models.TextField(blank=True, verbose_name="文案")),
                ("updated_at", models.DateTimeField()),
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
                    "content",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="campaigns.content",
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
                "verbose_name": "欢迎语",
                "verbose_name_plural": "欢迎语",
                "constraints": [models.UniqueConstraint(fields=("brand", "corp"), name="welcome_once")],
            },
        ),
        TenantTable("welcome"),
    ]

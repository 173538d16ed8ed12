"""Merges that can be split again, and a policy that hides contacts who are nobody of their own any more."""

import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from tenants.tables import AddTenantForeignKey, TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0002_group_stranger"),
        ("tenants", "0003_refresh_statistics"),
    ]

    operations = [
        migrations.CreateModel(
            name="Merge",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
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
                    "survivor",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="contacts.contact",
                    ),
                ),
                (
                    "loser",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="contacts.contact",
                    ),
                ),
                ("merged_at", models.DateTimeField()),
                ("actor", models.CharField(max_length=80)),
                ("actor_label", models.CharField(blank=True, db_default="", max_length=100)),
                ("reason", models.CharField(blank=True, db_default="", max_length=200)),
                ("evidence", models.JSONField(default=dict)),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                ("split_at", models.DateTimeField(null=True)),
                ("split_by", models.CharField(blank=True, db_default="", max_length=100)),
                ("split_reason", models.CharField(blank=True, db_default="", max_length=200)),
            ],
            options={
                "verbose_name": "合并",
                "verbose_name_plural": "合并",
            },
        ),
        migrations.CreateModel(
            name="MergeMoved",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "brand_id", "merge_id", "kind", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
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
                    "merge",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="contacts.merge",
                    ),
                ),
                ("kind", models.CharField(max_length=60)),
                ("rows", models.JSONField()),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.AddField(
            model_name="contact",
            name="erased_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="contact",
            name="gone_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="contact",
            name="merged_into",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="contacts.contact",
            ),
        ),
        migrations.AddField(
            model_name="identity",
            name="seen_with",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="identity",
            name="source",
            field=models.CharField(blank=True, db_default="", max_length=20),
        ),
        migrations.AddField(
            model_name="identityconflict",
            name="reason",
            field=models.CharField(blank=True, db_default="", max_length=200),
        ),
        migrations.AddField(
            model_name="identityconflict",
            name="resolution",
            field=models.CharField(
                blank=True,
                choices=[("merged", "已合并"), ("kept_apart", "保持分开"), ("erased", "已删除")],
                db_default="",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="identityconflict",
            name="resolved_by",
            field=models.CharField(blank=True, db_default="", max_length=100),
        ),
        migrations.AlterField(
            model_name="identity",
            name="type",
            field=models.CharField(
                choices=[
                    ("unionid", "unionid"),
                    ("external_userid", "外部联系人 ID"),
                    ("openid", "openid"),
                    ("phone", "手机号"),
                    ("member_id", "会员号"),
                    ("order_phone", "订单手机号"),
                    ("device", "设备"),
                    ("pending_id", "pending_id"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="identityconflict",
            name="other",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="contacts.contact",
            ),
        ),
        migrations.AddIndex(
            model_name="contact",
            index=models.Index(
                condition=models.Q(("merged_into__isnull", False)),
                fields=["brand", "merged_into"],
                name="contact_alias",
            ),
        ),
        migrations.AddIndex(
            model_name="identityconflict",
            index=models.Index(
                condition=models.Q(("resolved_at", None)), fields=["brand", "-seen_at", "id"], name="conflict_open"
            ),
        ),
        migrations.AddIndex(
            model_name="identityconflict",
            index=models.Index(fields=["brand", "contact"], name="conflict_of_contact"),
        ),
        migrations.AddIndex(
            model_name="identityconflict",
            index=models.Index(fields=["brand", "other"], name="conflict_of_other"),
        ),
        migrations.AddIndex(
            model_name="merge",
            index=models.Index(fields=["brand", "survivor", "id"], name="merge_of_survivor"),
        ),
        migrations.AddIndex(
            model_name="merge",
            index=models.Index(fields=["brand", "loser", "id"], name="merge_of_loser"),
        ),
        AddTenantForeignKey("contact", "merged_into"),
        TenantTable("merge"),
        TenantTable("mergemoved"),
        migrations.RunSQL(
            # Restrictive: it narrows what the brand's policy admits. One place decides who is a contact, so that no
            # segment, count or plan can forget to ask. Foreign keys are checked without it.
            "CREATE POLICY present ON contacts_contact AS RESTRICTIVE "
            "USING (gone_at IS NULL OR current_setting('orchard.gone', true) = 'shown')",
            "DROP POLICY present ON contacts_contact",
        ),
    ]

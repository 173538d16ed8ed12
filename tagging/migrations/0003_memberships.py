"""Who is in a segment since when and why, the first look at everybody, and triggers that say whom to look at again."""

import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from tagging.touch_triggers import touch_triggers
from tenants.tables import TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0003_merging"),
        ("tagging", "0002_expiring_tags"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="segment",
            name="mode",
            field=models.CharField(
                choices=[("realtime", "用时计算"), ("dynamic", "动态"), ("static", "静态")],
                db_default="realtime",
                default="realtime",
                max_length=10,
                verbose_name="更新方式",
            ),
        ),
        migrations.CreateModel(
            name="ContactTouch",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "brand_id",
                        "contact_id",
                        "source",
                        "txid",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("contact_id", models.BigIntegerField()),
                ("source", models.CharField(max_length=12)),
                ("txid", models.BigIntegerField()),
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
            ],
            options={
                "verbose_name": "待查客户",
                "verbose_name_plural": "待查客户",
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "brand_id",
                        "segment_id",
                        "contact_id",
                        "entered_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("entered_at", models.DateTimeField()),
                ("entered_version", models.PositiveIntegerField()),
                ("entered_reason", models.JSONField()),
                ("left_at", models.DateTimeField(null=True)),
                ("left_version", models.PositiveIntegerField(null=True)),
                ("left_reason", models.JSONField(null=True)),
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
                    "contact",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="contacts.contact",
                    ),
                ),
                (
                    "segment",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tagging.segment",
                    ),
                ),
            ],
            options={
                "verbose_name": "人群成员",
                "verbose_name_plural": "人群成员",
                "indexes": [
                    models.Index(fields=["brand", "contact", "entered_at"], name="member_of"),
                    models.Index(fields=["brand", "segment", "entered_at"], name="member_entered"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("left_at", None)),
                        fields=("brand", "segment", "contact"),
                        name="member_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SegmentFill",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "brand_id",
                        "segment_id",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("version", models.PositiveIntegerField()),
                ("tree", models.JSONField()),
                ("began_at", models.DateTimeField()),
                ("txid", models.BigIntegerField()),
                ("next_contact", models.BigIntegerField(default=0)),
                ("ended_at", models.DateTimeField(null=True)),
                ("is_current", models.BooleanField(default=True)),
                ("problem", models.CharField(blank=True, max_length=300)),
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
                    "segment",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tagging.segment",
                    ),
                ),
            ],
            options={
                "verbose_name": "人群计算",
                "verbose_name_plural": "人群计算",
                "indexes": [
                    models.Index(
                        condition=models.Q(("is_current", True)), fields=["brand", "segment"], name="fill_current"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SegmentStanding",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "brand_id",
                        "segment_id",
                        "contact_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("segment_id", models.BigIntegerField()),
                ("contact_id", models.BigIntegerField()),
                ("fill", models.PositiveIntegerField()),
                ("bits", models.BigIntegerField()),
                ("due_at", models.DateTimeField(null=True)),
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
            ],
            options={
                "verbose_name": "人群判定",
                "verbose_name_plural": "人群判定",
                "indexes": [
                    models.Index(
                        condition=models.Q(("due_at__isnull", False)),
                        fields=["brand", "due_at", "segment_id", "contact_id"],
                        name="standing_due",
                    )
                ],
            },
        ),
        TenantTable("contacttouch"),
        TenantTable("membership"),
        TenantTable("segmentfill"),
        TenantTable("segmentstanding"),
        touch_triggers(
            "contacts_contact",
            "contact",
            contacts="SELECT r.brand_id, r.id AS contact_id FROM {rows} AS r",
            events=("UPDATE",),
        ),
        touch_triggers(
            "contacts_contact",
            "person",
            columns=("brand_id", "id", "merged_into_id"),
            contacts="SELECT r.brand_id, r.id AS contact_id FROM {rows} AS r",
            suffix="_person",
        ),
        touch_triggers(
            "contacts_follow",
            "follow",
            columns=("brand_id", "contact_id", "staff_id", "state", "add_way", "added_at", "lost_at", "lost_by"),
        ),
        touch_triggers(
            "contacts_staff",
            "follow",
            columns=("brand_id", "id", "store_id"),
            contacts="SELECT f.brand_id, f.contact_id FROM {rows} AS r"
            " JOIN contacts_follow f ON f.brand_id = r.brand_id AND f.staff_id = r.id",
            events=("UPDATE",),
        ),
        touch_triggers(
            "contacts_groupmember", "group", columns=("brand_id", "contact_id", "chat_id", "joined_at", "left_at")
        ),
        touch_triggers("contacts_identity", "identity", columns=("brand_id", "contact_id", "type", "value")),
        touch_triggers(
            "tagging_contacttag",
            "tag",
            columns=("brand_id", "contact_id", "tag_id", "source", "given_at", "expires_at"),
        ),
        touch_triggers(
            "tagging_membership",
            "segment",
            columns=("brand_id", "contact_id", "segment_id", "left_at"),
            contacts="SELECT r.brand_id, r.contact_id FROM {rows} AS r JOIN tagging_segment g"
            " ON g.brand_id = r.brand_id AND g.id = r.segment_id AND g.mode = 'static'",
        ),
    ]

"""Members' tiers: rules, spells and floors. Spells touch their contacts, since segments ask for tiers."""

import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from tagging.touch_triggers import touch_triggers
from tenants.tables import TenantTable


class Migration(migrations.Migration):
    dependencies = [("points", "0002_lots_touch")]

    operations = [
        migrations.CreateModel(
            name="Tier",
            fields=[
                ("code", models.CharField(max_length=30, primary_key=True, serialize=False)),
                ("position", models.PositiveIntegerField()),
                ("name", models.CharField(max_length=30, verbose_name="名称")),
                ("threshold", models.BigIntegerField(verbose_name="门槛")),
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
                "verbose_name": "会员等级",
                "verbose_name_plural": "会员等级",
                "constraints": [models.UniqueConstraint(fields=("brand", "position"), name="tier_position_once")],
            },
        ),
        migrations.CreateModel(
            name="TierFloor",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("tier", models.CharField(max_length=30)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(null=True)),
                ("note", models.CharField(max_length=200, verbose_name="原因")),
                ("actor", models.CharField(max_length=80)),
                ("actor_label", models.CharField(blank=True, max_length=100)),
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
            ],
            options={
                "verbose_name": "人工保底等级",
                "verbose_name_plural": "人工保底等级",
                "indexes": [models.Index(fields=["brand", "contact", "since"], name="tier_floor_of_contact")],
            },
        ),
        migrations.CreateModel(
            name="TierRules",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "metric",
                    models.CharField(
                        choices=[("growth_value", "成长值"), ("net_spend", "净消费"), ("order_count", "订单数")],
                        max_length=12,
                        verbose_name="指标",
                    ),
                ),
                (
                    "window",
                    models.CharField(
                        choices=[("rolling", "最近 12 个月"), ("year", "自然年")], max_length=7, verbose_name="统计周期"
                    ),
                ),
                (
                    "at_end",
                    models.CharField(
                        choices=[("keep", "保级，不降"), ("one_down", "降一级"), ("to_level", "按成绩定级")],
                        max_length=8,
                        verbose_name="到期未达标",
                    ),
                ),
                ("grace_days", models.PositiveIntegerField(default=0, verbose_name="宽限天数")),
                ("protect_days", models.PositiveIntegerField(default=0, verbose_name="升级保护天数")),
                ("since", models.DateTimeField()),
                ("filled_to", models.BigIntegerField(null=True)),
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
                "verbose_name": "等级规则",
                "verbose_name_plural": "等级规则",
                "constraints": [models.UniqueConstraint(fields=("brand",), name="tier_rules_once")],
            },
        ),
        migrations.CreateModel(
            name="TierSpell",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "brand_id", "contact_id", "since", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(null=True)),
                ("tier", models.CharField(max_length=30)),
                ("was", models.CharField(max_length=30)),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("start", "开始记录"),
                            ("rules", "规则调整"),
                            ("reached", "达到门槛"),
                            ("renewed", "续期达标"),
                            ("kept", "到期保级"),
                            ("ended", "到期未达标"),
                            ("floor", "人工保底"),
                            ("floor_ended", "人工保底结束"),
                            ("merged", "合并客户"),
                        ],
                        max_length=12,
                    ),
                ),
                ("metric", models.BigIntegerField()),
                ("held_since", models.DateTimeField()),
                ("ends_at", models.DateTimeField(null=True)),
                ("protected_until", models.DateTimeField(null=True)),
                ("by_hand", models.BooleanField(default=False)),
                ("base_tier", models.CharField(blank=True, default="", max_length=30)),
                ("base_ends_at", models.DateTimeField(null=True)),
                ("due_at", models.DateTimeField(null=True)),
                ("noted_at", models.DateTimeField()),
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
            ],
            options={
                "verbose_name": "等级记录",
                "verbose_name_plural": "等级记录",
                "indexes": [
                    models.Index(
                        condition=models.Q(("until__isnull", True)),
                        fields=["brand", "tier", "contact"],
                        name="tier_spell_now",
                    ),
                    models.Index(
                        condition=models.Q(("until__isnull", True)), fields=["brand", "due_at"], name="tier_spell_due"
                    ),
                    models.Index(fields=["brand", "-since", "contact"], name="tier_spell_latest"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("until__isnull", True)),
                        fields=("brand", "contact"),
                        name="tier_spell_open_once",
                    )
                ],
            },
        ),
        TenantTable("tier"),
        TenantTable("tierrules"),
        TenantTable("tierspell"),
        TenantTable("tierfloor"),
        touch_triggers(
            "points_tierspell",
            "points",
            columns=("brand_id", "contact_id", "tier", "held_since", "until"),
        ),
    ]

"""Rules that measure, exclude and let go; interest scores; lifecycle stages; corp tags of WeCom; long runs."""

import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from tenants.tables import TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0004_reconciliation"),
        ("tagging", "0004_samples"),
        ("tenants", "0001_initial"),
        ("wecom", "0003_provider_and_onboarding"),
    ]

    operations = [
        migrations.AddField(
            model_name="tag",
            name="rank",
            field=models.PositiveIntegerField(db_default=100, default=100, verbose_name="优先级"),
        ),
        migrations.AddField(
            model_name="tagrule",
            name="half_life_days",
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name="半衰期"),
        ),
        migrations.AddField(
            model_name="tagrule",
            name="high",
            field=models.FloatField(blank=True, null=True, verbose_name="达到"),
        ),
        migrations.AddField(
            model_name="tagrule",
            name="low",
            field=models.FloatField(blank=True, null=True, verbose_name="低于"),
        ),
        migrations.AddField(
            model_name="tagrule",
            name="measure",
            field=models.CharField(
                choices=[
                    ("count", "次数"),
                    ("sum", "合计"),
                    ("recency", "最近做过"),
                    ("sequence", "先后做过"),
                    ("interest", "兴趣分"),
                ],
                db_default="count",
                default="count",
                max_length=10,
                verbose_name="衡量",
            ),
        ),
        migrations.AddField(
            model_name="tagrule",
            name="prop",
            field=models.CharField(blank=True, db_default="", default="", max_length=60, verbose_name="合计的属性"),
        ),
        migrations.AddField(
            model_name="tagrule",
            name="steps",
            field=models.JSONField(blank=True, db_default=[], default=list, verbose_name="各步"),
        ),
        migrations.AddField(
            model_name="tagrule",
            name="within_hours",
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name="首尾相隔不超过"),
        ),
        migrations.AlterField(
            model_name="contacttag",
            name="source",
            field=models.CharField(
                choices=[
                    ("manual", "手动"),
                    ("rule", "规则"),
                    ("api", "接口"),
                    ("wecom", "企业微信"),
                    ("import", "导入"),
                ],
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="CorpTag",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("wecom_id", models.CharField(blank=True, max_length=64)),
                ("group_id", models.CharField(blank=True, max_length=64)),
                ("group", models.CharField(max_length=60)),
                ("name", models.CharField(max_length=60)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("known", "未对应"),
                            ("wanted", "待创建"),
                            ("adding", "创建中"),
                            ("linked", "同步中"),
                            ("gone", "企业微信已删除"),
                        ],
                        max_length=10,
                    ),
                ),
                ("asked_at", models.DateTimeField(null=True)),
                ("listings", models.IntegerField(default=0)),
                ("problem", models.CharField(blank=True, max_length=300)),
                ("next_contact", models.BigIntegerField(default=0)),
                ("due_at", models.DateTimeField(null=True)),
                ("marked_at", models.DateTimeField(null=True)),
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
                (
                    "segment",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="tagging.segment",
                    ),
                ),
                (
                    "tag",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="tagging.tag",
                    ),
                ),
            ],
            options={
                "verbose_name": "企业标签",
                "verbose_name_plural": "企业标签",
            },
        ),
        migrations.CreateModel(
            name="CorpTagMark",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "brand_id",
                        "corp_tag_id",
                        "contact_id",
                        "staff_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("agreed_at", models.DateTimeField()),
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
                    "corp_tag",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tagging.corptag",
                    ),
                ),
                (
                    "staff",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="contacts.staff",
                    ),
                ),
            ],
            options={
                "verbose_name": "企业标签标记",
                "verbose_name_plural": "企业标签标记",
            },
        ),
        migrations.CreateModel(
            name="InterestPolicy",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("half_life_days", models.FloatField(verbose_name="半衰期")),
                ("weights", models.JSONField(verbose_name="权重")),
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
            ],
            options={
                "verbose_name": "兴趣分设置",
                "verbose_name_plural": "兴趣分设置",
            },
        ),
        migrations.CreateModel(
            name="InterestScore",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "brand_id",
                        "contact_id",
                        "kind",
                        "key",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("kind", models.CharField(max_length=10)),
                ("key", models.CharField(max_length=200)),
                ("score", models.FloatField()),
                ("as_of", models.DateTimeField()),
                ("top", models.JSONField(default=list)),
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
                "verbose_name": "兴趣分",
                "verbose_name_plural": "兴趣分",
            },
        ),
        migrations.CreateModel(
            name="LifecycleSpell",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "brand_id", "contact_id", "since", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("since", models.DateTimeField()),
                ("stage", models.CharField(max_length=30)),
                ("until", models.DateTimeField(null=True)),
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
                "verbose_name": "生命周期",
                "verbose_name_plural": "生命周期",
            },
        ),
        migrations.CreateModel(
            name="LifecycleStage",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("position", models.PositiveIntegerField()),
                ("key", models.CharField(max_length=30)),
                ("name", models.CharField(max_length=30, verbose_name="名称")),
                ("tree", models.JSONField(verbose_name="条件")),
                ("created_at", models.DateTimeField()),
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
                "verbose_name": "生命周期阶段",
                "verbose_name_plural": "生命周期阶段",
            },
        ),
        migrations.CreateModel(
            name="TagGroup",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=30, verbose_name="分组")),
                (
                    "exclusive",
                    models.CharField(
                        blank=True,
                        choices=[("", "可以同时有"), ("latest", "只留最新的"), ("priority", "只留优先级最高的")],
                        max_length=10,
                        verbose_name="互斥",
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
            ],
            options={
                "verbose_name": "标签分组",
                "verbose_name_plural": "标签分组",
            },
        ),
        migrations.CreateModel(
            name="TagLibrary",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("is_on", models.BooleanField(default=False, verbose_name="同步")),
                ("imports_new", models.BooleanField(default=True, verbose_name="企业微信的新标签自动建成标签")),
                ("due_at", models.DateTimeField(null=True)),
                ("read_at", models.DateTimeField(null=True)),
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
                "verbose_name": "标签库",
                "verbose_name_plural": "标签库",
            },
        ),
        migrations.CreateModel(
            name="TagRun",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("preview", "预览"),
                            ("apply", "补打"),
                            ("interests", "重算兴趣分"),
                            ("lifecycle", "划分阶段"),
                        ],
                        max_length=10,
                    ),
                ),
                ("rule_fields", models.JSONField(default=dict)),
                ("at", models.DateTimeField()),
                ("next_contact", models.BigIntegerField(default=0)),
                ("result", models.JSONField(default=dict)),
                ("began_by", models.CharField(blank=True, max_length=60)),
                ("finished_at", models.DateTimeField(null=True)),
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
                    "rule",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tagging.tagrule",
                    ),
                ),
            ],
            options={
                "verbose_name": "批量计算",
                "verbose_name_plural": "批量计算",
            },
        ),
        migrations.AddConstraint(
            model_name="corptag",
            constraint=models.UniqueConstraint(
                condition=models.Q(("wecom_id", ""), _negated=True),
                fields=("brand", "corp", "wecom_id"),
                name="corp_tag_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="corptag",
            constraint=models.UniqueConstraint(
                condition=models.Q(("tag__isnull", False)), fields=("brand", "corp", "tag"), name="corp_tag_of_tag"
            ),
        ),
        migrations.AddConstraint(
            model_name="interestpolicy",
            constraint=models.UniqueConstraint(fields=("brand",), name="interest_policy_once"),
        ),
        migrations.AddIndex(
            model_name="interestscore",
            index=models.Index(fields=["brand", "kind", "key", "contact"], name="interested_in"),
        ),
        migrations.AddIndex(
            model_name="lifecyclespell",
            index=models.Index(
                condition=models.Q(("until__isnull", True)), fields=["brand", "stage", "contact"], name="spell_now"
            ),
        ),
        migrations.AddIndex(
            model_name="lifecyclespell",
            index=models.Index(
                condition=models.Q(("until__isnull", True)), fields=["brand", "due_at"], name="spell_due"
            ),
        ),
        migrations.AddConstraint(
            model_name="lifecyclespell",
            constraint=models.UniqueConstraint(
                condition=models.Q(("until__isnull", True)), fields=("brand", "contact"), name="spell_open_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="lifecyclestage",
            constraint=models.UniqueConstraint(fields=("brand", "key"), name="stage_once"),
        ),
        migrations.AddConstraint(
            model_name="taggroup",
            constraint=models.UniqueConstraint(fields=("brand", "name"), name="tag_group_once"),
        ),
        migrations.AddConstraint(
            model_name="taglibrary",
            constraint=models.UniqueConstraint(fields=("brand", "corp"), name="library_once"),
        ),
        migrations.AddIndex(
            model_name="tagrun",
            index=models.Index(condition=models.Q(("finished_at", None)), fields=["brand", "id"], name="run_open"),
        ),
        TenantTable("taggroup"),
        TenantTable("tagrun"),
        TenantTable("interestpolicy"),
        TenantTable("interestscore"),
        TenantTable("lifecyclestage"),
        TenantTable("lifecyclespell"),
        TenantTable("taglibrary"),
        TenantTable("corptag"),
        TenantTable("corptagmark"),
    ]

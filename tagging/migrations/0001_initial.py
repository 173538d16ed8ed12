import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from tenants.tables import TenantTable


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('contacts', '0001_initial'),
        ('tenants', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Tag',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('group', models.CharField(blank=True, max_length=30, verbose_name='分组')),
                ('name', models.CharField(max_length=30, verbose_name='名称')),
                ('created_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '标签',
                'verbose_name_plural': '标签',
            },
        ),
        migrations.CreateModel(
            name='TagRule',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60, verbose_name='名称')),
                ('event_type', models.CharField(max_length=60, verbose_name='行为')),
                ('where', models.JSONField(blank=True, default=dict, verbose_name='条件')),
                ('min_count', models.PositiveIntegerField(default=1, verbose_name='至少次数')),
                ('window_days', models.PositiveIntegerField(default=30, verbose_name='近几天')),
                ('keep_days', models.PositiveIntegerField(blank=True, null=True, verbose_name='保留几天')),
                ('enabled', models.BooleanField(default=True, verbose_name='启用')),
                ('created_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('tag', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tagging.tag')),
            ],
            options={
                'verbose_name': '标签规则',
                'verbose_name_plural': '标签规则',
            },
        ),
        migrations.CreateModel(
            name='ContactTag',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'contact_id', 'tag_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('source', models.CharField(choices=[('manual', '手动'), ('rule', '规则'), ('api', '接口')], max_length=10)),
                ('evidence', models.JSONField(default=dict)),
                ('given_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(null=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('contact', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.contact')),
                ('tag', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tagging.tag')),
                ('rule', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='tagging.tagrule')),
            ],
            options={
                'verbose_name': '客户标签',
                'verbose_name_plural': '客户标签',
            },
        ),
        migrations.CreateModel(
            name='Segment',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60, verbose_name='名称')),
                ('tree', models.JSONField(verbose_name='条件')),
                ('version', models.PositiveIntegerField(default=1)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('archived_at', models.DateTimeField(blank=True, null=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '人群',
                'verbose_name_plural': '人群',
                'constraints': [models.UniqueConstraint(fields=('brand', 'name'), name='segment_once', violation_error_message='已有同名人群。')],
            },
        ),
        migrations.AddConstraint(
            model_name='tag',
            constraint=models.UniqueConstraint(fields=('brand', 'group', 'name'), name='tag_once', violation_error_message='这个分组里已有同名标签。'),
        ),
        migrations.AddIndex(
            model_name='contacttag',
            index=models.Index(fields=['brand', 'tag', 'contact'], name='contacts_of_tag'),
        ),
        TenantTable('tag'),
        TenantTable('tagrule'),
        TenantTable('contacttag'),
        TenantTable('segment'),
    ]

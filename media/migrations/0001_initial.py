import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from tenants.tables import TenantTable


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenants', '0004_redact_audit'),
        ('wecom', '0003_provider_and_onboarding'),
    ]

    operations = [
        migrations.CreateModel(
            name='Kept',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('image', '图片'), ('video', '视频'), ('file', '文件')], max_length=10, verbose_name='类型')),
                ('name', models.CharField(max_length=100, verbose_name='文件名')),
                ('sha256', models.CharField(max_length=64)),
                ('path', models.CharField(max_length=200)),
                ('size', models.PositiveIntegerField()),
                ('content_type', models.CharField(max_length=100)),
                ('width', models.PositiveIntegerField(null=True)),
                ('height', models.PositiveIntegerField(null=True)),
                ('seconds', models.FloatField(null=True)),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(blank=True, max_length=80)),
                ('unused_since', models.DateTimeField(null=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '素材',
                'verbose_name_plural': '素材',
            },
        ),
        migrations.CreateModel(
            name='Copy',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'media_id', 'corp_id', 'form', blank=True, editable=False, primary_key=True, serialize=False)),
                ('form', models.CharField(choices=[('url', '永久网址'), ('message', '消息素材'), ('moments', '朋友圈素材')], max_length=10)),
                ('value', models.TextField(blank=True)),
                ('made_at', models.DateTimeField(null=True)),
                ('expires_at', models.DateTimeField(null=True)),
                ('claimed_at', models.DateTimeField(null=True)),
                ('due_at', models.DateTimeField(null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('error_code', models.CharField(blank=True, max_length=60)),
                ('error', models.TextField(blank=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('corp', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='wecom.corp')),
                ('media', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='media.kept')),
            ],
            options={
                'verbose_name': '素材副本',
                'verbose_name_plural': '素材副本',
            },
        ),
        migrations.AddIndex(
            model_name='kept',
            index=models.Index(fields=['brand', 'unused_since'], name='kept_unused'),
        ),
        migrations.AddConstraint(
            model_name='kept',
            constraint=models.UniqueConstraint(fields=('brand', 'kind', 'sha256', 'name'), name='kept_once'),
        ),
        migrations.AddIndex(
            model_name='copy',
            index=models.Index(fields=['brand', 'expires_at'], name='copy_expires'),
        ),
        TenantTable("kept"),
        TenantTable("copy"),
    ]

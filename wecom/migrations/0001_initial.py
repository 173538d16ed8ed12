import django.db.models.deletion
import django.db.models.functions.comparison
import tenants.secrets
import uuid
from django.db import migrations, models

from tenants.tables import TenantTable


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenants', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='CallbackEndpoint',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('corp_id', models.BigIntegerField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.brand')),
            ],
        ),
        migrations.CreateModel(
            name='Corp',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('corpid', models.CharField(max_length=64, verbose_name='企业 ID')),
                ('name', models.CharField(max_length=100, verbose_name='名称')),
                ('quota_mode', models.CharField(choices=[('month_days', '每自然月最多当月天数'), ('week_7', '每自然周最多 7 次'), ('day_1', '每天最多 1 次'), ('month_4', '每自然月最多 4 次（旧规则）')], default='month_days', max_length=12, verbose_name='额度模式')),
                ('callback_token', tenants.secrets.EncryptedField(blank=True)),
                ('callback_aes_key', tenants.secrets.EncryptedField(blank=True)),
                ('connected_at', models.DateTimeField(blank=True, null=True)),
                ('trouble_code', models.CharField(blank=True, max_length=40)),
                ('trouble_detail', models.TextField(blank=True)),
                ('trouble_at', models.DateTimeField(blank=True, null=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '企业',
                'verbose_name_plural': '企业',
            },
        ),
        migrations.CreateModel(
            name='CorpApp',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('agent_id', models.BigIntegerField(verbose_name='AgentId')),
                ('name', models.CharField(blank=True, max_length=100, verbose_name='名称')),
                ('kind', models.CharField(default='contact', max_length=20)),
                ('secret', tenants.secrets.EncryptedField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('corp', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='wecom.corp')),
            ],
            options={
                'verbose_name': '应用',
                'verbose_name_plural': '应用',
            },
        ),
        migrations.CreateModel(
            name='InboxItem',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('dedupe_key', models.CharField(max_length=64)),
                ('event', models.CharField(max_length=64)),
                ('change_type', models.CharField(blank=True, max_length=64)),
                ('payload', models.JSONField()),
                ('received_at', models.DateTimeField()),
                ('status', models.CharField(choices=[('pending', '待处理'), ('done', '完成'), ('failed', '失败'), ('ignored', '忽略')], default='pending', max_length=10)),
                ('attempts', models.SmallIntegerField(default=0)),
                ('due_at', models.DateTimeField()),
                ('processed_at', models.DateTimeField(null=True)),
                ('error', models.TextField(blank=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('corp', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='wecom.corp')),
            ],
            options={
                'verbose_name': '回调',
                'verbose_name_plural': '回调',
            },
        ),
        migrations.AddConstraint(
            model_name='corp',
            constraint=models.UniqueConstraint(fields=('brand', 'corpid'), name='corp_once'),
        ),
        migrations.AddConstraint(
            model_name='corpapp',
            constraint=models.UniqueConstraint(fields=('brand', 'corp', 'agent_id'), name='app_once'),
        ),
        migrations.AddIndex(
            model_name='inboxitem',
            index=models.Index(fields=['brand', 'status', 'due_at'], name='inbox_due'),
        ),
        migrations.AddIndex(
            model_name='inboxitem',
            index=models.Index(fields=['brand', '-received_at'], name='inbox_latest'),
        ),
        migrations.AddConstraint(
            model_name='inboxitem',
            constraint=models.UniqueConstraint(fields=('brand', 'corp', 'dedupe_key'), name='callback_once'),
        ),
        TenantTable('corp'),
        TenantTable('corpapp'),
        TenantTable('inboxitem'),
    ]

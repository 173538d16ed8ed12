import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from tenants.tables import TenantTable


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenants', '0001_initial'),
        ('wecom', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Contact',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.CharField(blank=True, max_length=200, verbose_name='昵称')),
                ('avatar', models.URLField(blank=True, max_length=500)),
                ('gender', models.SmallIntegerField(default=0)),
                ('kind', models.SmallIntegerField(default=1)),
                ('phone', models.CharField(blank=True, max_length=20, verbose_name='手机号')),
                ('source_state', models.CharField(blank=True, max_length=64, verbose_name='来源')),
                ('first_added_at', models.DateTimeField(null=True, verbose_name='首次添加')),
                ('last_active_at', models.DateTimeField(null=True, verbose_name='最近互动')),
                ('lost_at', models.DateTimeField(null=True, verbose_name='流失时间')),
                ('created_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '客户',
                'verbose_name_plural': '客户',
            },
        ),
        migrations.CreateModel(
            name='IdentityConflict',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('evidence', models.JSONField()),
                ('seen_at', models.DateTimeField()),
                ('resolved_at', models.DateTimeField(null=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('contact', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.contact')),
                ('other', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.contact')),
            ],
            options={
                'verbose_name': '身份冲突',
                'verbose_name_plural': '身份冲突',
            },
        ),
        migrations.CreateModel(
            name='Staff',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('userid', models.CharField(max_length=64)),
                ('name', models.CharField(blank=True, max_length=100, verbose_name='姓名')),
                ('is_guide', models.BooleanField(default=False)),
                ('wecom_status', models.SmallIntegerField(default=1)),
                ('left_at', models.DateTimeField(blank=True, null=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('corp', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='wecom.corp')),
            ],
            options={
                'verbose_name': '员工',
                'verbose_name_plural': '员工',
            },
        ),
        migrations.CreateModel(
            name='GroupChat',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('chat_id', models.CharField(max_length=64)),
                ('name', models.CharField(blank=True, max_length=200, verbose_name='群名')),
                ('member_count', models.IntegerField(default=0)),
                ('member_version', models.CharField(blank=True, max_length=64)),
                ('created_at', models.DateTimeField(null=True)),
                ('dismissed_at', models.DateTimeField(null=True)),
                ('seen_run', models.BigIntegerField(default=0)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('corp', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='wecom.corp')),
                ('owner', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='contacts.staff')),
            ],
            options={
                'verbose_name': '客户群',
                'verbose_name_plural': '客户群',
            },
        ),
        migrations.CreateModel(
            name='Follow',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'staff_id', 'contact_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('external_userid', models.CharField(max_length=64)),
                ('remark', models.CharField(blank=True, max_length=100)),
                ('description', models.CharField(blank=True, max_length=500)),
                ('add_way', models.IntegerField(default=0)),
                ('state', models.CharField(blank=True, max_length=64)),
                ('corp_tag_ids', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), default=list, size=None)),
                ('added_at', models.DateTimeField()),
                ('lost_at', models.DateTimeField(null=True)),
                ('lost_by', models.CharField(blank=True, choices=[('contact', '客户删除'), ('staff', '员工删除'), ('transfer', '继承转移')], max_length=10)),
                ('last_interacted_at', models.DateTimeField(null=True)),
                ('seen_run', models.BigIntegerField(default=0)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('contact', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.contact')),
                ('staff', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.staff')),
            ],
            options={
                'verbose_name': '好友关系',
                'verbose_name_plural': '好友关系',
            },
        ),
        migrations.AddField(
            model_name='contact',
            name='main_guide',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='contacts.staff'),
        ),
        migrations.CreateModel(
            name='Store',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('department_id', models.BigIntegerField()),
                ('name', models.CharField(max_length=100, verbose_name='名称')),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('corp', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='wecom.corp')),
            ],
            options={
                'verbose_name': '门店',
                'verbose_name_plural': '门店',
            },
        ),
        migrations.AddField(
            model_name='staff',
            name='store',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='contacts.store'),
        ),
        migrations.CreateModel(
            name='SyncRun',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('running', '进行中'), ('done', '完成'), ('partial', '部分完成'), ('failed', '失败')], default='running', max_length=10)),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(null=True)),
                ('counts', models.JSONField(default=dict)),
                ('error', models.TextField(blank=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('corp', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='wecom.corp')),
            ],
            options={
                'verbose_name': '同步',
                'verbose_name_plural': '同步',
            },
        ),
        migrations.CreateModel(
            name='SyncChunk',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('position', models.IntegerField()),
                ('userids', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), size=None)),
                ('cursor', models.TextField(blank=True)),
                ('completed_at', models.DateTimeField(null=True)),
                ('follows_seen', models.IntegerField(default=0)),
                ('attempts', models.IntegerField(default=0)),
                ('error', models.TextField(blank=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('run', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.syncrun')),
            ],
        ),
        migrations.CreateModel(
            name='GroupMember',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'chat_id', 'member_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('member_id', models.CharField(max_length=64)),
                ('kind', models.SmallIntegerField()),
                ('joined_at', models.DateTimeField()),
                ('left_at', models.DateTimeField(null=True)),
                ('join_scene', models.IntegerField(default=0)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('chat', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.groupchat')),
                ('contact', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.contact')),
            ],
            options={
                'verbose_name': '群成员',
                'verbose_name_plural': '群成员',
                'indexes': [models.Index(fields=['brand', 'contact'], name='group_of_contact')],
            },
        ),
        migrations.CreateModel(
            name='Identity',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('type', models.CharField(choices=[('unionid', 'unionid'), ('external_userid', '外部联系人 ID'), ('openid', 'openid'), ('phone', '手机号'), ('member_id', '会员号')], max_length=20)),
                ('value', models.CharField(max_length=200)),
                ('first_seen_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('contact', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.contact')),
            ],
            options={
                'verbose_name': '身份',
                'verbose_name_plural': '身份',
                'indexes': [models.Index(fields=['brand', 'contact'], name='identity_of_contact')],
                'constraints': [models.UniqueConstraint(fields=('brand', 'type', 'value'), name='identity_once')],
            },
        ),
        migrations.AddConstraint(
            model_name='groupchat',
            constraint=models.UniqueConstraint(fields=('brand', 'corp', 'chat_id'), name='group_once'),
        ),
        migrations.AddIndex(
            model_name='follow',
            index=models.Index(fields=['brand', 'contact'], name='follow_of_contact'),
        ),
        migrations.AddIndex(
            model_name='follow',
            index=models.Index(fields=['brand', 'external_userid'], name='follow_external'),
        ),
        migrations.AddConstraint(
            model_name='follow',
            constraint=models.UniqueConstraint(fields=('brand', 'staff', 'external_userid'), name='follow_once'),
        ),
        migrations.AddIndex(
            model_name='contact',
            index=models.Index(fields=['brand', 'name'], name='contact_name'),
        ),
        migrations.AddIndex(
            model_name='contact',
            index=models.Index(fields=['brand', 'phone'], name='contact_phone'),
        ),
        migrations.AddIndex(
            model_name='contact',
            index=models.Index(fields=['brand', 'main_guide', 'id'], name='contact_guide'),
        ),
        migrations.AddIndex(
            model_name='contact',
            index=models.Index(fields=['brand', '-last_active_at', '-id'], name='contact_active'),
        ),
        migrations.AddConstraint(
            model_name='store',
            constraint=models.UniqueConstraint(fields=('brand', 'corp', 'department_id'), name='store_once'),
        ),
        migrations.AddIndex(
            model_name='staff',
            index=models.Index(fields=['brand', 'store'], name='staff_of_store'),
        ),
        migrations.AddConstraint(
            model_name='staff',
            constraint=models.UniqueConstraint(fields=('brand', 'corp', 'userid'), name='staff_once'),
        ),
        migrations.AddIndex(
            model_name='syncrun',
            index=models.Index(fields=['brand', 'corp', '-started_at'], name='sync_latest'),
        ),
        migrations.AddConstraint(
            model_name='syncchunk',
            constraint=models.UniqueConstraint(fields=('brand', 'run', 'position'), name='chunk_once'),
        ),
        TenantTable('store'),
        TenantTable('staff'),
        TenantTable('contact'),
        TenantTable('identity'),
        TenantTable('identityconflict'),
        TenantTable('follow'),
        TenantTable('groupchat'),
        TenantTable('groupmember'),
        TenantTable('syncrun'),
        TenantTable('syncchunk'),
    ]

import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from tenants.tables import TenantTable


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('contacts', '0001_initial'),
        ('tagging', '0001_initial'),
        ('tenants', '0001_initial'),
        ('wecom', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='BudgetPolicy',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'channel', blank=True, editable=False, primary_key=True, serialize=False)),
                ('channel', models.CharField(choices=[('single', '单聊'), ('group', '客户群'), ('moments', '朋友圈')], max_length=10, verbose_name='渠道')),
                ('cap', models.PositiveSmallIntegerField(verbose_name='最多触达次数')),
                ('window_days', models.PositiveSmallIntegerField(default=7, verbose_name='窗口天数')),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '触达预算',
                'verbose_name_plural': '触达预算',
            },
        ),
        migrations.CreateModel(
            name='Content',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60, verbose_name='名称')),
                ('channel', models.CharField(choices=[('single', '单聊'), ('group', '客户群'), ('moments', '朋友圈')], default='single', max_length=10, verbose_name='渠道')),
                ('text', models.TextField(blank=True, verbose_name='文案')),
                ('attachments', models.JSONField(blank=True, default=list, verbose_name='附件')),
                ('created_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '内容',
                'verbose_name_plural': '内容',
            },
        ),
        migrations.CreateModel(
            name='Push',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60, verbose_name='名称')),
                ('channel', models.CharField(choices=[('single', '单聊'), ('group', '客户群'), ('moments', '朋友圈')], default='single', max_length=10, verbose_name='渠道')),
                ('status', models.CharField(choices=[('draft', '草稿'), ('scheduled', '待发'), ('planning', '规划中'), ('sending', '进行中'), ('done', '完成'), ('cancelled', '已取消'), ('failed', '失败')], default='draft', max_length=10, verbose_name='状态')),
                ('segment_tree', models.JSONField(null=True)),
                ('priority', models.SmallIntegerField(default=50, verbose_name='优先级')),
                ('holdout_percent', models.PositiveSmallIntegerField(default=0, verbose_name='对照组 %')),
                ('max_recipients', models.PositiveIntegerField(blank=True, null=True, verbose_name='最多人数')),
                ('scheduled_at', models.DateTimeField(blank=True, null=True)),
                ('sop_step', models.SmallIntegerField(null=True)),
                ('planned_at', models.DateTimeField(null=True)),
                ('dispatched_at', models.DateTimeField(null=True)),
                ('done_at', models.DateTimeField(null=True)),
                ('counts', models.JSONField(default=dict)),
                ('error', models.TextField(blank=True)),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(blank=True, max_length=80)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('corp', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='wecom.corp')),
                ('segment', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tagging.segment')),
            ],
            options={
                'verbose_name': '推送',
                'verbose_name_plural': '推送',
            },
        ),
        migrations.CreateModel(
            name='Batch',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('seq', models.PositiveIntegerField(default=0)),
                ('size', models.PositiveIntegerField()),
                ('status', models.CharField(choices=[('pending', '待派发'), ('claimed', '派发中'), ('created', '待确认'), ('unknown', '状态未明'), ('refused', '被拒绝'), ('cancelled', '已取消'), ('final', '已完成')], default='pending', max_length=10)),
                ('due_at', models.DateTimeField()),
                ('claimed_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(null=True)),
                ('msgid', models.CharField(blank=True, max_length=128)),
                ('jobid', models.CharField(blank=True, max_length=128)),
                ('tag_id', models.CharField(blank=True, max_length=64)),
                ('tagged_at', models.DateTimeField(null=True)),
                ('confirmed_at', models.DateTimeField(null=True)),
                ('poll_due_at', models.DateTimeField(null=True)),
                ('polled_at', models.DateTimeField(null=True)),
                ('polls', models.PositiveIntegerField(default=0)),
                ('reminders', models.PositiveSmallIntegerField(default=0)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('error_code', models.CharField(blank=True, max_length=60)),
                ('error', models.TextField(blank=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('corp', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='wecom.corp')),
                ('staff', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='contacts.staff')),
                ('push', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.push')),
            ],
            options={
                'verbose_name': '发送批次',
                'verbose_name_plural': '发送批次',
            },
        ),
        migrations.CreateModel(
            name='Sop',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60, verbose_name='名称')),
                ('enabled', models.BooleanField(default=False, verbose_name='启用')),
                ('created_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '流程',
                'verbose_name_plural': '流程',
            },
        ),
        migrations.CreateModel(
            name='SopVersion',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('number', models.PositiveIntegerField()),
                ('trigger', models.JSONField()),
                ('steps', models.JSONField()),
                ('goal_event', models.CharField(blank=True, max_length=60)),
                ('published_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('sop', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.sop')),
            ],
            options={
                'verbose_name': '流程版本',
                'verbose_name_plural': '流程版本',
            },
        ),
        migrations.AddField(
            model_name='push',
            name='sop_version',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.sopversion'),
        ),
        migrations.CreateModel(
            name='Enrolment',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('active', '在内'), ('done', '走完'), ('goal', '达成目标'), ('exited', '退出')], default='active', max_length=10)),
                ('reason', models.CharField(blank=True, max_length=40)),
                ('step', models.SmallIntegerField(default=0)),
                ('due_at', models.DateTimeField(null=True)),
                ('entered_at', models.DateTimeField()),
                ('left_at', models.DateTimeField(null=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('contact', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.contact')),
                ('sop_version', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.sopversion')),
            ],
            options={
                'verbose_name': '入组',
                'verbose_name_plural': '入组',
            },
        ),
        migrations.CreateModel(
            name='Variant',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('position', models.PositiveSmallIntegerField()),
                ('name', models.CharField(blank=True, max_length=60, verbose_name='名称')),
                ('condition', models.JSONField(blank=True, null=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('content', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='campaigns.content')),
                ('push', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.push')),
            ],
            options={
                'verbose_name': '变体',
                'verbose_name_plural': '变体',
            },
        ),
        migrations.CreateModel(
            name='GroupDelivery',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'push_id', 'chat_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('planned', '已计划'), ('holdout', '对照组'), ('suppressed', '未发'), ('created', '待导购确认'), ('delivered', '已送达'), ('failed', '未送达'), ('unconfirmed', '导购未确认'), ('cancelled', '已取消')], max_length=12)),
                ('reason', models.CharField(blank=True, max_length=30)),
                ('updated_at', models.DateTimeField()),
                ('delivered_at', models.DateTimeField(null=True)),
                ('batch', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='campaigns.batch')),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('chat', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.groupchat')),
                ('staff', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='contacts.staff')),
                ('push', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.push')),
                ('variant', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.variant')),
            ],
            options={
                'verbose_name': '群投递',
                'verbose_name_plural': '群投递',
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'push_id', 'contact_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('external_userid', models.CharField(blank=True, max_length=64)),
                ('status', models.CharField(choices=[('planned', '已计划'), ('holdout', '对照组'), ('suppressed', '未发'), ('created', '待导购确认'), ('delivered', '已送达'), ('failed', '未送达'), ('unconfirmed', '导购未确认'), ('cancelled', '已取消')], max_length=12)),
                ('reason', models.CharField(blank=True, max_length=30)),
                ('updated_at', models.DateTimeField()),
                ('delivered_at', models.DateTimeField(null=True)),
                ('batch', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='campaigns.batch')),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('contact', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.contact')),
                ('staff', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='contacts.staff')),
                ('push', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.push')),
                ('variant', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.variant')),
            ],
            options={
                'verbose_name': '投递',
                'verbose_name_plural': '投递',
            },
        ),
        migrations.AddField(
            model_name='batch',
            name='variant',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.variant'),
        ),
        migrations.CreateModel(
            name='Reservation',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'push_id', 'contact_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('channel', models.CharField(choices=[('single', '单聊'), ('group', '客户群'), ('moments', '朋友圈')], max_length=10)),
                ('day', models.DateField()),
                ('status', models.CharField(choices=[('reserved', '预留'), ('posted', '记账'), ('voided', '释放')], default='reserved', max_length=10)),
                ('priority', models.SmallIntegerField(default=50)),
                ('made_at', models.DateTimeField()),
                ('settled_at', models.DateTimeField(null=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('contact', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contacts.contact')),
                ('corp', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='wecom.corp')),
                ('push', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.push')),
            ],
            options={
                'verbose_name': '触达账',
                'verbose_name_plural': '触达账',
                'indexes': [models.Index(fields=['brand', 'contact', 'channel', 'day'], name='reservation_day')],
            },
        ),
        migrations.AddConstraint(
            model_name='sopversion',
            constraint=models.UniqueConstraint(fields=('brand', 'sop', 'number'), name='sop_version_once'),
        ),
        migrations.AddIndex(
            model_name='push',
            index=models.Index(fields=['brand', 'status', 'scheduled_at'], name='push_due'),
        ),
        migrations.AddIndex(
            model_name='enrolment',
            index=models.Index(condition=models.Q(('status', 'active')), fields=['brand', 'sop_version', 'due_at'], name='enrolment_due'),
        ),
        migrations.AddIndex(
            model_name='enrolment',
            index=models.Index(fields=['brand', 'contact'], name='enrolment_of_contact'),
        ),
        migrations.AddConstraint(
            model_name='variant',
            constraint=models.UniqueConstraint(fields=('brand', 'push', 'position'), name='variant_once'),
        ),
        migrations.AddIndex(
            model_name='groupdelivery',
            index=models.Index(fields=['brand', 'batch'], name='group_delivery_of_batch'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['brand', 'batch'], name='delivery_of_batch'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['brand', 'push', 'status', 'reason'], name='delivery_status'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['brand', 'contact', '-updated_at'], name='delivery_of_contact'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(fields=['brand', 'status', 'due_at'], name='batch_due'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(fields=['brand', 'push', 'status'], name='batch_of_push'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(fields=['brand', 'status', 'poll_due_at'], name='batch_poll'),
        ),
        TenantTable('content'),
        TenantTable('sop'),
        TenantTable('sopversion'),
        TenantTable('push'),
        TenantTable('variant'),
        TenantTable('batch'),
        TenantTable('delivery'),
        TenantTable('groupdelivery'),
        TenantTable('budgetpolicy'),
        TenantTable('reservation'),
        TenantTable('enrolment'),
    ]

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
            name='EarnRule',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60, verbose_name='名称')),
                ('event_type', models.CharField(max_length=60, verbose_name='行为')),
                ('points', models.PositiveIntegerField(verbose_name='积分')),
                ('per_day', models.PositiveIntegerField(default=1, verbose_name='每天最多次数')),
                ('keep_days', models.PositiveIntegerField(blank=True, default=365, null=True, verbose_name='有效天数')),
                ('enabled', models.BooleanField(default=True, verbose_name='启用')),
                ('created_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '积分规则',
                'verbose_name_plural': '积分规则',
            },
        ),
        migrations.CreateModel(
            name='PointsAccount',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('code', models.CharField(blank=True, choices=[('issued', '发放'), ('redeemed', '消耗'), ('expired', '到期'), ('adjusted', '调整')], max_length=10)),
                ('balance', models.BigIntegerField(default=0)),
                ('opened_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('contact', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='contacts.contact')),
            ],
            options={
                'verbose_name': '积分账户',
                'verbose_name_plural': '积分账户',
            },
        ),
        migrations.CreateModel(
            name='Lot',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('amount', models.BigIntegerField()),
                ('remaining', models.BigIntegerField()),
                ('expires_at', models.DateTimeField(null=True)),
                ('earned_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('account', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='points.pointsaccount')),
            ],
            options={
                'verbose_name': '积分批',
                'verbose_name_plural': '积分批',
            },
        ),
        migrations.CreateModel(
            name='PointsEntry',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('amount', models.BigIntegerField()),
                ('balance_after', models.BigIntegerField(null=True)),
                ('posted_at', models.DateTimeField()),
                ('account', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='points.pointsaccount')),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '积分分录',
                'verbose_name_plural': '积分分录',
            },
        ),
        migrations.CreateModel(
            name='LotUse',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'entry_id', 'lot_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('amount', models.BigIntegerField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('lot', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='points.lot')),
                ('entry', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='points.pointsentry')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Transfer',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('key', models.CharField(max_length=200)),
                ('reason', models.CharField(max_length=40)),
                ('reference', models.CharField(blank=True, max_length=200)),
                ('note', models.CharField(blank=True, max_length=200)),
                ('actor', models.CharField(blank=True, max_length=80)),
                ('occurred_at', models.DateTimeField()),
                ('posted_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('reverses', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='points.transfer')),
            ],
            options={
                'verbose_name': '积分流水',
                'verbose_name_plural': '积分流水',
            },
        ),
        migrations.AddField(
            model_name='pointsentry',
            name='transfer',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='points.transfer'),
        ),
        migrations.AddConstraint(
            model_name='pointsaccount',
            constraint=models.UniqueConstraint(fields=('brand', 'contact'), name='account_once'),
        ),
        migrations.AddConstraint(
            model_name='pointsaccount',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('code', ''), ('contact__isnull', False)), models.Q(('contact', None), models.Q(('code', ''), _negated=True)), _connector='OR'), name='account_of_contact_or_programme'),
        ),
        migrations.AddIndex(
            model_name='lot',
            index=models.Index(condition=models.Q(('remaining__gt', 0)), fields=['brand', 'account', 'expires_at', 'earned_at'], name='lot_open'),
        ),
        migrations.AddIndex(
            model_name='lot',
            index=models.Index(condition=models.Q(('remaining__gt', 0)), fields=['brand', 'expires_at'], name='lot_expiring'),
        ),
        migrations.AddConstraint(
            model_name='lot',
            constraint=models.CheckConstraint(condition=models.Q(('remaining__gte', 0), ('remaining__lte', models.F('amount'))), name='lot_within_amount'),
        ),
        migrations.AddIndex(
            model_name='transfer',
            index=models.Index(fields=['brand', '-posted_at', 'id'], name='transfer_latest'),
        ),
        migrations.AddConstraint(
            model_name='transfer',
            constraint=models.UniqueConstraint(fields=('brand', 'key'), name='transfer_key_once'),
        ),
        migrations.AddIndex(
            model_name='pointsentry',
            index=models.Index(fields=['brand', 'account', '-posted_at', 'id'], name='entry_of_account'),
        ),
        migrations.AddConstraint(
            model_name='pointsentry',
            constraint=models.UniqueConstraint(fields=('brand', 'transfer', 'account'), name='entry_once'),
        ),
        migrations.AddConstraint(
            model_name='pointsentry',
            constraint=models.CheckConstraint(condition=models.Q(('amount', 0), _negated=True), name='entry_moves_points'),
        ),
        TenantTable('pointsaccount'),
        TenantTable('transfer'),
        TenantTable('pointsentry'),
        TenantTable('lot'),
        TenantTable('lotuse'),
        TenantTable('earnrule'),
    ]

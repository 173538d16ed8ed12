import django.db.models.deletion
import django.db.models.fields.json
import django.db.models.functions.comparison
from django.db import migrations, models

from tenants.tables import CreatePartitionedModel, TenantTable


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenants', '0001_initial'),
    ]

    operations = [
        migrations.RunSQL(
            """
            CREATE FUNCTION event_number(props jsonb, key text) RETURNS bigint
            LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
                SELECT CASE WHEN jsonb_typeof(props -> key) = 'number' AND abs((props ->> key)::numeric) < 9e18
                            THEN trunc((props ->> key)::numeric)::bigint END
            $$
            """,
            "DROP FUNCTION event_number",
        ),
        migrations.CreateModel(
            name='LogEra',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('era', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='ReactorCursor',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'reactor', blank=True, editable=False, primary_key=True, serialize=False)),
                ('reactor', models.CharField(max_length=60)),
                ('txid', models.BigIntegerField(default=0)),
                ('event_id', models.UUIDField()),
                ('updated_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'abstract': False,
            },
        ),
        CreatePartitionedModel(
            name='Event',
            partition_by='occurred_at',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'occurred_at', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('id', models.UUIDField()),
                ('occurred_at', models.DateTimeField(verbose_name='发生时间')),
                ('received_at', models.DateTimeField()),
                ('skew_ms', models.BigIntegerField(null=True)),
                ('type', models.CharField(max_length=60, verbose_name='类型')),
                ('source', models.CharField(max_length=20)),
                ('contact_id', models.BigIntegerField(null=True)),
                ('identity_type', models.CharField(max_length=20, null=True)),
                ('identity_value', models.CharField(max_length=200, null=True)),
                ('props', models.JSONField(default=dict)),
                ('category', models.GeneratedField(db_persist=True, expression=django.db.models.fields.json.KeyTextTransform('category', 'props'), null=True, output_field=models.TextField())),
                ('product_id', models.GeneratedField(db_persist=True, expression=django.db.models.fields.json.KeyTextTransform('product_id', 'props'), null=True, output_field=models.TextField())),
                ('amount_fen', models.GeneratedField(db_persist=True, expression=models.Func(models.F('props'), models.Value('amount_fen'), function='event_number', output_field=models.BigIntegerField()), null=True, output_field=models.BigIntegerField())),
                ('dwell_seconds', models.GeneratedField(db_persist=True, expression=models.Func(models.F('props'), models.Value('dwell_seconds'), function='event_number', output_field=models.BigIntegerField()), null=True, output_field=models.BigIntegerField())),
                ('fires', models.BooleanField(default=True)),
                ('txid', models.BigIntegerField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '行为事件',
                'verbose_name_plural': '行为事件',
                'indexes': [models.Index(fields=['brand', 'txid', 'id'], name='event_reading'), models.Index(fields=['brand', 'contact_id', 'type', 'occurred_at'], name='event_of_contact'), models.Index(fields=['brand', 'type', 'occurred_at', 'contact_id'], name='event_of_type'), models.Index(condition=models.Q(('contact_id', None)), fields=['brand', 'identity_type', 'identity_value'], name='event_unlinked')],
            },
        ),
        TenantTable('reactorcursor'),
        TenantTable('event'),
    ]

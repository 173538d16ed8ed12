"""Contents and welcomes may show files that we keep."""

import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from tenants.tables import AddTenantForeignKey, TenantTable


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0005_merged_assignments'),
        ('media', '0001_initial'),
        ('tenants', '0004_redact_audit'),
    ]

    operations = [
        migrations.AddField(
            model_name='content',
            name='media_ends_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='welcome',
            name='media',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='media.kept'),
        ),
        migrations.CreateModel(
            name='ContentMedia',
            fields=[
                ('pk', models.CompositePrimaryKey('brand_id', 'content_id', 'media_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
                ('content', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='campaigns.content')),
                ('media', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='media.kept')),
            ],
            options={
                'indexes': [models.Index(fields=['brand', 'media'], name='content_of_media')],
            },
        ),
        AddTenantForeignKey("welcome", "media"),
        TenantTable("contentmedia"),
    ]

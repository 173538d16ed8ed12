import django.contrib.auth.models
import django.contrib.auth.validators
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.comparison
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from tenants.tables import TenantTable


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='Agency',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, verbose_name='名称')),
                ('slug', models.SlugField(unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'verbose_name': '代理商',
                'verbose_name_plural': '代理商',
            },
        ),
        migrations.CreateModel(
            name='User',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('username', models.CharField(error_messages={'unique': 'A user with that username already exists.'}, help_text='Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.', max_length=150, unique=True, validators=[django.contrib.auth.validators.UnicodeUsernameValidator()], verbose_name='username')),
                ('first_name', models.CharField(blank=True, max_length=150, verbose_name='first name')),
                ('last_name', models.CharField(blank=True, max_length=150, verbose_name='last name')),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='email address')),
                ('is_staff', models.BooleanField(default=False, help_text='Designates whether the user can log into this admin site.', verbose_name='staff status')),
                ('is_active', models.BooleanField(default=True, help_text='Designates whether this user should be treated as active. Unselect this instead of deleting accounts.', verbose_name='active')),
                ('date_joined', models.DateTimeField(default=django.utils.timezone.now, verbose_name='date joined')),
                ('name', models.CharField(blank=True, max_length=50, verbose_name='姓名')),
                ('language', models.CharField(blank=True, max_length=10, verbose_name='语言')),
                ('session_epoch', models.IntegerField(default=0)),
                ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
            ],
            options={
                'verbose_name': 'user',
                'verbose_name_plural': 'users',
                'abstract': False,
            },
            managers=[
                ('objects', django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name='Brand',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, verbose_name='名称')),
                ('slug', models.SlugField(unique=True)),
                ('timezone', models.CharField(default='Asia/Shanghai', max_length=50, verbose_name='时区')),
                ('color', models.CharField(default='#0f766e', max_length=7, verbose_name='品牌色')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('agency', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='brands', to='tenants.agency')),
            ],
            options={
                'verbose_name': '品牌',
                'verbose_name_plural': '品牌',
            },
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, verbose_name='名称')),
                ('prefix', models.CharField(max_length=12)),
                ('key_hash', models.CharField(max_length=64, unique=True)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), default=list, size=None)),
                ('per_minute', models.PositiveIntegerField(default=600, verbose_name='每分钟请求上限')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': 'API 密钥',
                'verbose_name_plural': 'API 密钥',
            },
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('actor', models.CharField(max_length=80)),
                ('actor_label', models.CharField(blank=True, max_length=100)),
                ('action', models.CharField(max_length=60)),
                ('object_type', models.CharField(max_length=40)),
                ('object_id', models.CharField(blank=True, max_length=80)),
                ('before', models.JSONField(null=True)),
                ('after', models.JSONField(null=True)),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'verbose_name': '审计',
                'verbose_name_plural': '审计',
                'indexes': [models.Index(fields=['brand', '-at', 'id'], name='audit_at')],
            },
        ),
        migrations.CreateModel(
            name='IdempotentResponse',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('body_hash', models.CharField(max_length=64)),
                ('status', models.SmallIntegerField(null=True)),
                ('response', models.JSONField(null=True)),
                ('created_at', models.DateTimeField()),
                ('brand', models.ForeignKey(db_constraint=False, db_default=django.db.models.functions.comparison.Cast(models.Func(models.Value('orchard.brand_id'), function='current_setting'), models.BigIntegerField()), db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.brand')),
            ],
            options={
                'indexes': [models.Index(fields=['brand', 'created_at'], name='idempotent_created')],
            },
        ),
        migrations.CreateModel(
            name='Seat',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.CharField(choices=[('owner', '负责人'), ('operator', '运营'), ('analyst', '分析'), ('store_manager', '店长'), ('guide', '导购')], max_length=20, verbose_name='角色')),
                ('store_id', models.BigIntegerField(blank=True, null=True)),
                ('staff_id', models.BigIntegerField(blank=True, null=True)),
                ('status', models.CharField(choices=[('invited', '已邀请'), ('active', '在用'), ('revoked', '已撤销')], default='active', max_length=10)),
                ('invite_hash', models.CharField(blank=True, max_length=64)),
                ('invited_at', models.DateTimeField(blank=True, null=True)),
                ('last_seen_at', models.DateTimeField(blank=True, null=True)),
                ('agency', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.agency')),
                ('brand', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.brand')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='seats', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': '成员',
                'verbose_name_plural': '成员',
                'constraints': [models.UniqueConstraint(fields=('user', 'brand'), name='one_seat_per_brand'), models.UniqueConstraint(condition=models.Q(('brand', None)), fields=('user', 'agency'), name='one_seat_per_agency'), models.CheckConstraint(condition=models.Q(models.Q(('agency', None), ('brand__isnull', False)), models.Q(('agency__isnull', False), ('brand', None)), _connector='OR'), name='seat_of_brand_or_agency')],
            },
        ),
        TenantTable('auditentry'),
        TenantTable('idempotentresponse'),
    ]

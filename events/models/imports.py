"""Files that are imported, kept in the database: every web and worker process reaches them, and so does erasure."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.tables import TenantModel, tenant_key


class Import(TenantModel):
    """导入: one file and what becomes of it."""

    class Status(models.TextChoices):
        UPLOADING = "uploading", _("上传中")
        READY = "ready", _("待开始")
        RUNNING = "running", _("导入中")
        DONE = "done", _("已完成")
        CANCELLED = "cancelled", _("已取消")

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=40)
    """name in events.imports.kinds"""
    name = models.CharField(_("文件名"), max_length=120)
    status = models.CharField(_("状态"), max_length=12, choices=Status.choices, default=Status.UPLOADING)
    encoding = models.CharField(max_length=20, blank=True)
    delimiter = models.CharField(max_length=1, blank=True)
    header = models.JSONField(default=list)
    """the columns' names as the file has them"""
    mapping = models.JSONField(default=dict)
    """column's place, as text → target of the kind"""
    options = models.JSONField(default=dict)
    """what the kind asks for besides"""
    rows = models.IntegerField(default=0)
    """rows of the file without its header"""
    language = models.CharField(max_length=10, default="zh-hans")
    """of the messages in the error file"""
    actor = models.CharField(max_length=60)
    actor_label = models.CharField(max_length=120)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    emptied_at = models.DateTimeField(null=True)
    """when the file's own rows were thrown away"""

    class Meta:
        verbose_name = verbose_name_plural = _("导入")
        indexes = [models.Index(fields=["brand", "status"], name="import_status")]

    def __str__(self) -> str:
        return self.name


class ImportPart(TenantModel):
    """Some rows of a file, which are imported in one transaction: what was done is done, and is never done again."""

    pk = models.CompositePrimaryKey("brand_id", "of_id", "number")
    of = tenant_key(Import)
    number = models.IntegerField()
    first_row = models.IntegerField()
    """row number of its first row; the header is row 1, as a spreadsheet counts"""
    rows = models.IntegerField()
    text = models.TextField()
    """the rows as they stood in the file; emptied some days after the import ended"""
    done_at = models.DateTimeField(null=True)
    accepted = models.IntegerField(default=0)
    duplicate = models.IntegerField(default=0)
    refused = models.IntegerField(default=0)
    problems = models.JSONField(default=list)
    """[row, column, code, message, remedy] for each thing that is wrong; no value of the file is repeated"""

    class Meta:
        indexes = [models.Index(fields=["brand", "of", "number"], name="import_left", condition=models.Q(done_at=None))]

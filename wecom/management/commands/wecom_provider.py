"""`manage.py wecom_provider`: what the installation is as a provider (服务商), for who runs it (docs/wecom.md)."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from scrm.lib.errors import DomainError
from tenants.actors import Actor
from tenants.models import Brand
from wecom.models import Authorisation, Suite
from wecom.provider import authorise, suites

OPERATOR = Actor("system", "manage.py")


class Command(BaseCommand):
    """Enter suites, list them and the corps that authorised them, give a waiting corp to a brand."""

    help = "A provider's suites: put one in, list them with who authorised them, assign a waiting corp to a brand."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """put, list, assign."""
        acts = parser.add_subparsers(dest="act", required=True)
        put = acts.add_parser("put", help="secrets are read from the environment: SUITE_SECRET, PROVIDER_SECRET, ...")
        put.add_argument("suite_id")
        put.add_argument("name")
        put.add_argument("--provider-corpid", default="")
        put.add_argument("--trial", action="store_true", help="the suite is not published yet")
        acts.add_parser("list")
        assign = acts.add_parser("assign")
        assign.add_argument("authorisation", type=int, help="number in `list`")
        assign.add_argument("brand", help="slug")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError with the reason for what is refused."""
        try:
            {"put": self._put, "list": self._list, "assign": self._assign}[options["act"]](options)
        except DomainError as refusal:
            raise CommandError(f"{refusal.detail} {refusal.remedy}".strip()) from refusal

    def _put(self, options: dict[str, Any]) -> None:
        """Secrets come by the environment: a command line is seen by everybody on the machine."""
        secret = os.environ.get("SUITE_SECRET", "")
        if not secret:
            raise CommandError("SUITE_SECRET is not set.")
        suite = suites.put(
            suite_id=options["suite_id"],
            name=options["name"],
            secret=secret,
            token=os.environ.get("SUITE_TOKEN", ""),
            aes_key=os.environ.get("SUITE_AES_KEY", ""),
            provider_corpid=options["provider_corpid"],
            provider_secret=os.environ.get("PROVIDER_SECRET", ""),
            trial=options["trial"],
        )
        self.stdout.write(f"URL             {suites.command_url(suite)}")
        self.stdout.write(f"Token           {suite.token}")
        self.stdout.write(f"EncodingAESKey  {suite.aes_key}")

    def _list(self, options: dict[str, Any]) -> None:
        slugs = dict(Brand.objects.values_list("pk", "slug"))
        for suite in Suite.objects.order_by("pk"):
            heard = f"{suite.ticket_at:%Y-%m-%d %H:%M} UTC" if suite.ticket_at else "never"
            self.stdout.write(f"{suite.suite_id}  {suite.name}  ticket: {heard}")
            for each in Authorisation.objects.filter(suite=suite).order_by("pk"):
                whose = slugs[each.brand_id] if each.brand_id else "waits for a brand"
                self.stdout.write(f"  {each.pk}  {each.corpid}  {each.corp_name}  {each.status}  {whose}")

    def _assign(self, options: dict[str, Any]) -> None:
        brand = Brand.objects.filter(slug=options["brand"]).first()
        if brand is None:
            raise CommandError(f"There is no brand {options['brand']}.")
        done = authorise.assign(
            authorisation_id=options["authorisation"], brand_id=brand.pk, actor=OPERATOR, at=timezone.now()
        )
        self.stdout.write(f"{brand.slug} has the corp now (corp {done.corp_id}).")

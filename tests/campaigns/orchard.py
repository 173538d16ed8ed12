"""Smallest valid rows for tests of outreach, on top of the cast."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from campaigns.contents import contents
from campaigns.models import Content, Delivery, Push, Reservation
from campaigns.planning import plan
from campaigns.pushes import pushes
from contacts.models import Contact, Follow, GroupChat, GroupMember, Staff
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON, Cast


@dataclass
class Orchard:
    """The cast's brand, with shorthands. Every method opens its own scope."""

    cast: Cast
    at: datetime = NOON
    made: int = field(default=0)

    @property
    def brand_id(self) -> int:
        return self.cast.brand.id

    def guide(self, userid: str, **fields: Any) -> Staff:
        with brand_scope(self.brand_id):
            values = {"name": userid, "store": self.cast.store, "is_guide": True, **fields}
            return Staff.objects.create(corp=self.cast.corp, userid=userid, **values)

    def contacts(self, count: int, guide: Staff | None = None, **fields: Any) -> list[Contact]:
        """`count` contacts who follow the guide (bob unless told)."""
        with brand_scope(self.brand_id):
            made = Contact.objects.bulk_create(
                Contact(name=f"客户{self.made + n}", created_at=self.at, **fields) for n in range(count)
            )
            self.made += count
        for contact in made:
            self.follow(contact, guide or self.cast.bob)
        return made

    def follow(self, contact: Contact, guide: Staff, **fields: Any) -> None:
        with brand_scope(self.brand_id):
            Follow.objects.create(
                brand_id=self.brand_id,
                staff=guide,
                contact=contact,
                external_userid=f"wm{contact.id}",
                **{"added_at": self.at, **fields},
            )

    def content(self, text: str = "会员日签到有礼", channel: str = "single", **fields: Any) -> Content:
        with brand_scope(self.brand_id):
            return contents.save(name=text[:20], channel=channel, text=text, actor=SYSTEM, at=self.at, **fields)

    def draft(self, **fields: Any) -> pushes.Draft:
        channel = fields.get("channel", "single")
        if "variants" not in fields:
            fields["variants"] = [pushes.VariantDraft(self.content(channel=channel).pk)]
        return pushes.Draft(**{"name": "会员日", "channel": channel, **fields})

    def push(self, **fields: Any) -> Push:
        with_draft = self.draft(**fields)
        with brand_scope(self.brand_id):
            return pushes.create(draft=with_draft, actor=SYSTEM, at=self.at)

    def scheduled(self, **fields: Any) -> Push:
        """A push that is to be planned, without looking at its audience first."""
        push = self.push(**fields)
        with brand_scope(self.brand_id):
            Push.objects.filter(pk=push.pk).update(status="scheduled", scheduled_at=fields.get("scheduled_at", self.at))
        return push

    def plan(self, push: Push, **options: Any) -> Push:
        plan.plan(brand_id=self.brand_id, push_id=push.pk, at=options.pop("at", self.at), **options)
        return self.again(push)

    def planned(self, **fields: Any) -> Push:
        return self.plan(self.scheduled(**fields))

    def forecast(self, push: Push) -> Any:
        with brand_scope(self.brand_id):
            return plan.dry_run(push_id=push.pk, at=self.at)

    def again(self, push: Push) -> Push:
        with brand_scope(self.brand_id):
            return Push.objects.get(pk=push.pk)

    def outcomes(self, push: Push) -> dict[int, str]:
        """Each contact's status, or the reason for which it was suppressed."""
        with brand_scope(self.brand_id):
            return {row.contact_id: row.reason or row.status for row in Delivery.objects.filter(push=push)}

    def deliver(self, push: Push, *, at: datetime, contacts: list[Contact] | None = None) -> None:
        """As if guides had confirmed."""
        with brand_scope(self.brand_id):
            rows = Delivery.objects.filter(push=push, status="planned")
            if contacts is not None:
                rows = rows.filter(contact__in=contacts)
            rows.update(status="delivered", delivered_at=at)

    def reservations(self, push: Push) -> dict[int, str]:
        with brand_scope(self.brand_id):
            return dict(Reservation.objects.filter(push=push).values_list("contact_id", "status"))

    def group(self, name: str, *members: Contact, owner: Staff | None = None, **fields: Any) -> GroupChat:
        with brand_scope(self.brand_id):
            values = {"corp": self.cast.corp, "name": name, "owner": owner or self.cast.bob, **fields}
            chat = GroupChat.objects.create(chat_id=f"wr-{name}", **values)
            GroupMember.objects.bulk_create(
                GroupMember(
                    brand_id=self.brand_id,
                    chat=chat,
                    member_id=f"wm{member.id}",
                    kind=2,
                    contact=member,
                    joined_at=self.at,
                )
                for member in members
            )
        return chat

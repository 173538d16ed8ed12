"""Many hands at once on the same few people: merges and splits beside what else writes to them."""

import threading
import traceback
from collections import Counter
from random import Random

from django.db import OperationalError, connection
from django.utils import timezone

from contacts import gone, merging
from contacts.merging import Wanted
from contacts.models import Contact, Identity, Merge
from contacts.oneid.identity import Claim, attach
from events import log, reactors
from events.models import Event
from points import ledger
from points.models import PointsAccount
from scrm.lib.errors import DomainError
from scrm.lib.ids import made_id
from tagging import tags
from tagging.models import Tag
from tagging.segments import due, memberships, segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.campaigns.orchard import Orchard

PEOPLE, ROUNDS = 6, 8
OFTEN = {"kind": "event_count", "event": "sign_in", "op": "gte", "value": 3}


class Hands:
    """Threads that each do their act again and again; what went wrong is kept."""

    def __init__(self, cast):
        self.brand = cast.brand.id
        self.orchard = Orchard(cast, at=timezone.now())
        self.ids = [each.pk for each in self.orchard.contacts(PEOPLE)]
        self.wrong, self.done = [], Counter()
        with brand_scope(self.brand):
            for number, contact in enumerate(self.ids):
                Identity.objects.create(
                    id=made_id(self.brand, "identity", "phone", phone(number)),
                    contact_id=contact,
                    type="phone",
                    value=phone(number),
                    first_seen_at=self.orchard.at,
                )
            self.tag = Tag.objects.create(name="t", created_at=self.orchard.at)
            made = segments.save(name="s", tree=OFTEN, actor=SYSTEM, at=self.orchard.at)
            memberships.set_mode(segment_id=made.pk, mode="dynamic", actor=SYSTEM, at=self.orchard.at)

    def at_once(self, *acts):
        start = threading.Barrier(len(acts))
        threads = [threading.Thread(target=self._again, args=(act, start, n)) for n, act in enumerate(acts)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(120)
        assert not any(each.is_alive() for each in threads)

    def _again(self, act, start, number):
        random = Random(number)
        try:
            start.wait(30)
            for round_ in range(ROUNDS):
                try:
                    act(random, f"{number}-{round_}")
                    self.done[act.__name__] += 1
                except (DomainError, OperationalError) as error:
                    # Points have no more order among people than their accounts: the API tries again.
                    if isinstance(error, OperationalError) and act != self.points:
                        self.wrong.append(traceback.format_exc())
                except Exception:
                    self.wrong.append(traceback.format_exc())
        finally:
            connection.close()

    def merge(self, random, _name):
        one, other, third = random.sample(self.ids, 3)
        with brand_scope(self.brand):
            merging.merge(wanted=[Wanted(one, other), Wanted(third, one)], at=timezone.now())

    def split(self, random, _name):
        with brand_scope(self.brand):
            found = list(Merge.objects.filter(split_at=None).values_list("pk", flat=True))
        if found:
            with brand_scope(self.brand):
                merging.split(merge_ids=[random.choice(found)], actor=SYSTEM, at=timezone.now())

    def sync(self, random, name):
        number = random.randrange(PEOPLE)
        claims = [Claim((("phone", phone(n % PEOPLE)), ("device", f"{name}-{n}"))) for n in (number, number + 1)]
        with brand_scope(self.brand):
            attach(claims=claims, at=timezone.now())

    def event(self, random, _name):
        key = ("phone", phone(random.randrange(PEOPLE)))
        with brand_scope(self.brand):
            log.write([log.NewEvent("sign_in", timezone.now(), identity=key)], at=timezone.now())

    def points(self, random, name):
        who = random.choice(self.ids)
        with brand_scope(self.brand):
            ledger.grant(contact_id=gone.current([who])[who], points=10, key=f"g{name}", at=timezone.now())
        with brand_scope(self.brand):
            ledger.spend(contact_id=gone.current([who])[who], points=7, key=f"s{name}", at=timezone.now())

    def give(self, random, _name):
        with brand_scope(self.brand):
            who = gone.current(random.sample(self.ids, 3))
            tags.give(tag_id=self.tag.pk, contact_ids=list(who.values()), actor=SYSTEM, at=timezone.now())

    def push(self, _random, _name):
        self.orchard.plan(self.orchard.scheduled(), at=timezone.now())

    def look(self, _random, _name):
        due.work(brand_id=self.brand, at=timezone.now())
        for name in ("segments", "contacts.merging"):
            reactors.react(brand_id=self.brand, reactor=name, at=timezone.now())

    def read_the_log(self):
        """To its end: nobody writes to this database any more."""
        while reactors.react(brand_id=self.brand, reactor="contacts.merging", at=timezone.now(), horizon=2**62).read:
            pass


def phone(number):
    return f"1390000000{number}"


def strays():
    """Events that are not with the owner of the identity they name. Scoped."""
    owners = dict(Identity.objects.filter(type="phone").values_list("value", "contact_id"))
    named = Event.objects.filter(type="sign_in").values_list("identity_value", "contact_id")
    return [(value, contact) for value, contact in named if owners[value] != contact]


def test_nothing_is_lost_between_many_hands(live_cast):
    hands = Hands(live_cast)
    acts = (hands.merge, hands.merge, hands.split, hands.sync, hands.event, hands.points, hands.give, hands.push)
    hands.at_once(*acts, hands.look)
    assert not hands.wrong, "\n\n".join(hands.wrong[:3])

    hands.read_the_log()
    with brand_scope(hands.brand):
        assert ledger.discrepancies() == []
        assert strays() == []
        now = gone.current(hands.ids)
        hidden = [who for who in hands.ids if now[who] != who]
        assert not Identity.objects.filter(contact__in=hidden).exists()
        assert not PointsAccount.objects.filter(contact__in=hidden, balance__gt=0).exists()
        assert Event.objects.filter(type="sign_in").count() == hands.done["event"] == ROUNDS
        merging.split(
            merge_ids=list(Merge.objects.filter(split_at=None).values_list("pk", flat=True)),
            actor=SYSTEM,
            at=timezone.now(),
        )
    hands.read_the_log()
    with brand_scope(hands.brand):
        assert set(Contact.objects.values_list("pk", flat=True)) == set(hands.ids)
        owners = dict(Identity.objects.filter(type="phone").values_list("value", "contact_id"))
        assert [owners[phone(n)] for n in range(PEOPLE)] == hands.ids
        assert strays() == []
        assert ledger.discrepancies() == []

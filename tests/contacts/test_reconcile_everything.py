"""Every callback is lost, and after one round of comparing our state is what it would be had none been."""

from collections import Counter

import pytest

from bench.soak.ending import ended
from bench.soak.telling import Telling
from contacts import reconcile, sync
from contacts.models import Follow, GroupChat, Staff
from wecom.simulator.testing import running_simulator

PARTS = ("staff", "friendships", "contacts", "groups", "members", "events", "noted")


class Story(Telling):
    """A day in a corp, of which callbacks tell all, or nothing."""

    def day(self):
        """Guides, customers, groups, departments: something of each kind that WeCom tells of."""
        pairs, act = self.pairs(), self.act
        guides = sorted({userid for userid, _external in pairs})
        mine = [external for userid, external in pairs if userid == guides[0]]
        tag = self.wecom.corp_tags()[0].tags[0].id
        act("edit", userid=guides[0], external_userid=mine[0], remark="老客", description="爱喝茶")
        act("edit", userid=guides[0], external_userid=mine[1], add_tag=[tag])
        act("scan", userid=guides[1], state="door-1")
        act("delete_follow", userid=guides[0], external_userid=mine[2], by="guide")
        kept, over = (group["chat_id"] for group in self.groups[:2])
        act("change_group", chat_id=kept, name="新名字")
        act("join_group", chat_id=kept, external_userid=mine[3])
        act("dismiss_group", chat_id=over)
        made = act("create_group", userid=guides[1], name="后来的群", external_userids=[mine[4]])
        act("leave_group", chat_id=made["chat_id"], external_userid=mine[4])
        department = act("department", action="create", name="新店")["id"]
        act("member", action="create", userid="newcomer", name="新导购", department=[department])
        act("scan", userid="newcomer", state="door-2")
        act("member", action="update", userid=guides[1], name="改名", department=[department])
        act("member", action="update", userid=guides[2], service=False)
        act("member", action="update", userid=guides[3], new_userid="renamed")
        act("member", action="delete", userid=guides[4])
        act("department", action="update", id=department, name="新店（二楼）")
        self.heard()

    def before(self):
        """Two groups to change."""
        pairs = self.pairs()
        owner, theirs = pairs[0][0], [external for userid, external in pairs if userid == pairs[0][0]]
        self.groups = [
            self.act("create_group", userid=owner, name=name, external_userids=theirs[:3]) for name in ("一群", "二群")
        ]

    def round(self):
        """As many steps as it takes to have compared everybody and everything."""
        with self.scope():
            steps = max(Staff.objects.count(), GroupChat.objects.count())
        for _step in range(steps):
            reconcile.step(brand_id=self.brand.pk, corp_id=self.corp.pk, wecom=self.wecom, clock=lambda: self.at)
            self.at += reconcile.EVERY

    def sync(self):
        run_id = sync.start(brand_id=self.brand.pk, corp_id=self.corp.pk, at=self.at)
        sync.run_to_end(brand_id=self.brand.pk, run_id=run_id, wecom=self.wecom, at=self.at)

    def seen(self):
        state = ended(self, Counter()).state
        with self.scope():
            rows = Follow.objects.values_list("staff__userid", "external_userid", "description", "corp_tag_ids")
            noted = sorted((*row[:3], sorted(row[3])) for row in rows)
            left = sorted(Staff.objects.filter(left_at=None).values_list("userid", flat=True))
        return {**{part: state.get(part) for part in PARTS}, "noted": noted, "there": left}


@pytest.fixture
def told(transactional_db, live_server, settings):
    def tell(*, lost, heal=lambda story: None):
        with running_simulator(guides=5, contacts=50, seed=31) as simulator:
            settings.WECOM_API_BASE = simulator.api_base
            story = Story(simulator, public_url=live_server.url)
            story.before()
            story.heard()
            story.sync()
            simulator.post("/_sim/switches", {"callback_loss_rate": float(lost)})
            story.day()
            heal(story)
            return story.seen()

    return tell


def test_after_a_round_nothing_shows_that_no_callback_came(told):
    heard = told(lost=False)
    deaf = {}

    def heal(story):
        deaf.update(story.seen())
        story.round()

    healed = told(lost=True, heal=heal)

    assert all(deaf[part] != told_of for part, told_of in heard.items())
    for part, told_of in heard.items():
        assert healed[part] == told_of, part


def test_a_full_sync_knows_a_guide_again_under_another_userid(told):
    renamed = told(lost=True, heal=Story.sync)

    assert "renamed" in renamed["there"]
    assert not {row[0] for row in renamed["staff"]} >= {"renamed", "guide04"}

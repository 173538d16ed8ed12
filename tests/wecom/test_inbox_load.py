"""Many callbacks at once, through a real server: answered, kept once each, handled once each, woken for once."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import requests
from django.db import connections

from tenants.scope import brand_scope
from tests.wecom.conftest import callback_url, connected
from tests.wecom.test_callbacks import event_xml, sealed
from wecom import tasks
from wecom.models import InboxItem
from wecom.store import connection

EVENTS, SENDERS = 120, 6


def test_a_flood_is_answered_kept_once_and_handled_once(live_cast, simulator, live_server, settings, heard):
    link = connected(live_cast, simulator)
    settings.PUBLIC_URL = live_server.url
    url = callback_url(link.endpoint.pk)
    told = [event_xml(link.corpid, change="edit_external_contact", customer=f"wm{n}") for n in range(EVENTS)]
    posts = [sealed(xml, corpid=link.corpid) for xml in told]
    posts += [sealed(xml, corpid=link.corpid, nonce="again") for xml in told[::10]]
    posts[3], posts[90] = posts[90], posts[3]
    local = threading.local()

    def post(query_and_body):
        if not hasattr(local, "web"):
            local.web = requests.Session()
            local.web.trust_env = False
        query, body = query_and_body
        return local.web.post(url, params=query, data=body, timeout=30).status_code

    with ThreadPoolExecutor(SENDERS) as senders:
        answers = Counter(senders.map(post, posts))
    assert answers == {200: len(posts)}
    # Far fewer messages than callbacks, also where these arrive slowly.
    assert connection().llen("wecom") <= len(posts) // 2

    def drain():
        tasks.drain_inbox(brand_id=link.brand_id)
        connections.close_all()

    drains = [threading.Thread(target=drain) for _drain in range(3)]
    for each in drains:
        each.start()
    for each in drains:
        each.join(timeout=60)
    while inbox_waits(link):
        tasks.drain_inbox(brand_id=link.brand_id)

    assert sorted(event.text("ExternalUserID") for event in heard) == sorted(f"wm{n}" for n in range(EVENTS))


def inbox_waits(link):
    with brand_scope(link.brand_id):
        return InboxItem.objects.filter(status=InboxItem.Status.PENDING).exists()

"""Welcome templates of customer groups (入群欢迎语素材, reference §12.5). The owner picks one in the client."""

from __future__ import annotations

from wecom.simulator import content
from wecom.simulator.errors import Refused
from wecom.simulator.records import GroupWelcome
from wecom.simulator.wire import Body, Call, endpoint

PREFIX = "externalcontact/group_welcome_template"
MOST = 100


@endpoint("POST", f"{PREFIX}/add", empty={"template_id": ""})
def add_template(call: Call) -> Body:
    """text ≤ 3000 B, one of image, link, miniprogram, file, video, notify → template_id. Official 92366."""
    corp = call.corp
    kept = content.group_welcome(corp, call.body, now=call.now)
    notify = call.flag("notify", default=True)
    if len(corp.group_welcomes) >= MOST:
        raise Refused(41055)
    template = GroupWelcome(corp.new_id("msg", 32), call.app.agentid, kept, notify)
    corp.group_welcomes[template.template_id] = template
    return {"template_id": template.template_id}


@endpoint("POST", f"{PREFIX}/edit")
def edit_template(call: Call) -> Body:
    """template_id and the whole new content; 41058 for what another app made."""
    template = _own(call)
    template.content = content.group_welcome(call.corp, call.body, now=call.now)
    template.notify = call.flag("notify", default=template.notify)
    return {}


@endpoint("POST", f"{PREFIX}/get")
def get_template(call: Call) -> Body:
    """template_id → its content; a picture by its address."""
    shown = dict(_asked(call).content)
    if "image" in shown and not shown["image"].get("pic_url"):
        shown["image"] = {"pic_url": content.picture_url(str(shown["image"].get("media_id", "")))}
    return shown


@endpoint("POST", f"{PREFIX}/del")
def delete_template(call: Call) -> Body:
    """template_id: groups that had it no longer greet."""
    del call.corp.group_welcomes[_own(call).template_id]
    return {}


def _asked(call: Call) -> GroupWelcome:
    template = call.corp.group_welcomes.get(call.text("template_id", missing=40063))
    if template is None:
        raise Refused(40058, "invalid template_id")
    return template


def _own(call: Call) -> GroupWelcome:
    template = _asked(call)
    if template.agentid != call.app.agentid:
        raise Refused(41058)
    return template

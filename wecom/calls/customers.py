"""Customers (reference §7) and corp tags (§8)."""

from collections.abc import Sequence

from wecom import errors
from wecom.calls.base import Calls, Json, cursor_of, moment
from wecom.types import (
    ContactDetail,
    ContactPage,
    CorpTag,
    FollowedContact,
    FollowInfo,
    Person,
    TagGroup,
)

NO_RELATION = 84061


class CustomerCalls(Calls):
    """客户管理."""

    def follow_users(self) -> list[str]:
        """Userids with 客户联系 in the app's visible range. Official 92571."""
        return [str(each) for each in self._get("externalcontact/get_follow_user_list").get("follow_user") or []]

    def external_userids(self, *, userid: str) -> list[str]:
        """A member's customers, possibly none; those who deleted the member are among them. Official 92113."""
        try:
            answer = self._get("externalcontact/list", userid=userid)
        except errors.Gone as gone:
            if gone.errcode == NO_RELATION:  # what WeCom answers for a member without customers
                return []
            raise
        return [str(each) for each in answer.get("external_userid") or []]

    def external_contact(self, *, external_userid: str) -> ContactDetail:
        """A customer and everybody who follows. Raises Gone when nobody the app sees does. Official 92114."""
        person: Person | None = None
        follows: list[FollowInfo] = []
        cursor: str | None = None
        while person is None or cursor:
            params = {"external_userid": external_userid, **({"cursor": cursor} if cursor else {})}
            answer = self._get("externalcontact/get", **params)
            person = person or _person(answer["external_contact"])
            follows += [_follow(row) for row in answer.get("follow_user") or []]
            cursor = cursor_of(answer)
        return ContactDetail(person, follows)

    def contacts_of(self, *, userids: Sequence[str], cursor: str = "", limit: int = 100) -> ContactPage:
        """One page of the customers of up to 100 members, one item per pair; at most 100 a page. Official 92994."""
        body = {"userid_list": list(userids), "cursor": cursor, "limit": limit}
        answer = self._post("externalcontact/batch/get_by_user", body)
        items = [
            FollowedContact(_person(row["external_contact"]), _follow(row["follow_info"]))
            for row in answer.get("external_contact_list") or []
        ]
        unlicensed = (answer.get("fail_info") or {}).get("unlicensed_userid_list") or []
        return ContactPage(items, cursor_of(answer), tuple(str(each) for each in unlicensed))

    def remark(
        self,
        *,
        userid: str,
        external_userid: str,
        remark: str | None = None,
        description: str | None = None,
        company: str | None = None,
        mobiles: Sequence[str] | None = None,
    ) -> None:
        """Set what is not None of a pair: remark (≤ 20 chars), description (≤ 150), company (≤ 20; WeChat users only),
        mobiles (replaced as a whole); "" and an empty list clear. A repeat is harmless. Official 92115."""
        body = {
            "userid": userid,
            "external_userid": external_userid,
            "remark": remark,
            "description": description,
            "remark_company": company,
            "remark_mobiles": None if mobiles is None else list(mobiles) or [""],  # WeCom's way to say none
        }
        self._post("externalcontact/remark", body)

    # -- tags --

    def corp_tags(self, *, tag_ids: Sequence[str] = (), group_ids: Sequence[str] = ()) -> list[TagGroup]:
        """The tag library, or the asked-for part of it (deleted ones are told only then). Official 92117."""
        body = {"tag_id": list(tag_ids) or None, "group_id": list(group_ids) or None}
        return [_group(row) for row in self._post("externalcontact/get_corp_tag_list", body).get("tag_group") or []]

    def add_corp_tag(self, *, group: str, names: Sequence[str]) -> list[CorpTag]:
        """Create tags (names ≤ 30 chars) in the group of this name, made if need be. Never repeated.

        Raises Gone `wecom.name_taken` when the group has one of the names already, OutcomeUnknown."""
        body = {"group_name": group, "tag": [{"name": name} for name in names]}
        return _group(self._post_once("externalcontact/add_corp_tag", body)["tag_group"]).tags

    def update_corp_tag(self, *, tag_id: str, name: str | None = None, order: int | None = None) -> None:
        """Rename or move a tag or a tag group. Raises Gone `wecom.name_taken`, `wecom.tag_gone`, Rejected
        `wecom.foreign_tag` for one that another app or the console made. A repeat is harmless."""
        self._post("externalcontact/edit_corp_tag", {"id": tag_id, "name": name, "order": order})

    def delete_corp_tags(self, *, tag_ids: Sequence[str] = (), group_ids: Sequence[str] = ()) -> None:
        """Delete tags (also from all customers) or whole groups; what is gone already is fine when it is all."""
        try:
            self._post(
                "externalcontact/del_corp_tag",
                {"tag_id": list(tag_ids) or None, "group_id": list(group_ids) or None},
            )
        except errors.Gone as gone:
            if gone.problem_code != "wecom.tag_gone" or len(tag_ids) + len(group_ids) > 1:
                raise

    def mark_tag(
        self, *, userid: str, external_userid: str, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Give and take tags of one pair; repeats are harmless. One call at a time per pair. Official 92118."""
        body = {
            "userid": userid,
            "external_userid": external_userid,
            "add_tag": list(add) or None,
            "remove_tag": list(remove) or None,
        }
        self._post("externalcontact/mark_tag", body)


def _person(row: Json) -> Person:
    return Person(
        external_userid=str(row["external_userid"]),
        name=str(row.get("name") or ""),
        avatar=str(row.get("avatar") or ""),
        kind=int(row.get("type") or 1),
        gender=int(row.get("gender") or 0),
        unionid=str(row.get("unionid") or ""),
        company=str(row.get("corp_full_name") or row.get("corp_name") or ""),
        position=str(row.get("position") or ""),
    )


def _follow(row: Json) -> FollowInfo:
    """A follower: `externalcontact/get` tells tags as objects, `batch/get_by_user` bare ids under tag_id.

    Members' personal tags have no corp id and are left out."""
    tags = row.get("tag_id")
    if tags is None:
        tags = [each["tag_id"] for each in row.get("tags") or [] if each.get("tag_id") and each.get("type") != 2]
    return FollowInfo(
        userid=str(row["userid"]),
        remark=str(row.get("remark") or ""),
        description=str(row.get("description") or ""),
        added_at=moment(row.get("createtime")),
        tag_ids=tuple(str(each) for each in tags),
        remark_mobiles=tuple(str(each) for each in row.get("remark_mobiles") or [] if each),
        add_way=int(row.get("add_way") or 0),
        state=str(row.get("state") or ""),
        oper_userid=str(row.get("oper_userid") or ""),
        company=str(row.get("remark_corp_name") or ""),
        channel=str((row.get("wechat_channels") or {}).get("nickname") or ""),
    )


def _group(row: Json) -> TagGroup:
    group_id, group_name = str(row["group_id"]), str(row.get("group_name") or "")
    tags = [
        CorpTag(
            id=str(each["id"]),
            name=str(each.get("name") or ""),
            group_id=group_id,
            group_name=group_name,
            order=int(each.get("order") or 0),
            created_at=moment(each.get("create_time")),
            deleted=bool(each.get("deleted")),
        )
        for each in row.get("tag") or []
    ]
    return TagGroup(group_id, group_name, int(row.get("order") or 0), bool(row.get("deleted")), tags)

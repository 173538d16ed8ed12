"""The switches of `/_sim/switches`: where WeCom is not known for certain, or is to be worse on purpose."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class Switches:
    """Where WeCom's behaviour is not known for certain, or is worth making worse on purpose.

    `dispatch_seconds` (41063 phase) and `moment_job_seconds` are at pace 1; rates are shares of callbacks."""

    api_events: bool = False  # raise callbacks for changes made through the API, too
    existing_tag_returned: bool = False  # add_corp_tag with a known name: return it instead of 40071
    console_welcome: bool = False  # the console has a welcome of its own: no WelcomeCode
    dispatch_seconds: float = 3.0
    moment_job_seconds: float = 4.0
    callback_loss_rate: float = 0.0
    callback_duplicate_rate: float = 0.0
    callback_shuffle_rate: float = 0.0
    short_page_rate: float = 0.0  # share of batch/get_by_user pages that are short or empty though more follows
    refuse_escapes: bool = False  # a body with \uXXXX is 40033
    open_profile_events: bool = False  # who looks at an acquisition link's member is told (some industries only)
    strict_openids: bool = False  # unionid_to_external_userid takes only openids that a mini program was given
    stale_detail_seconds: float = 0.0  # externalcontact/get does not show a friendship younger than this
    callback_delay_seconds: float = 0.0  # real seconds before each callback leaves
    callback_bad_signature_rate: float = 0.0  # share of attempts with a wrong msg_signature
    callback_lanes: int = 1  # how many callbacks of a corp may be under way at once; above 1 they overtake each other
    delete_after_send_rate: float = 0.001
    like_rate: float = 0.03
    comment_rate: float = 0.004
    reply_rate: float = 0.02  # of mass sends: the customer writes back
    click_rate: float = (
        0.05  # of mass sends and Moments with a link or mini-program; three times that when it is of interest
    )
    order_rate: float = 0.1  # of clicks
    daily_rate: float = 0.0  # share of the customers who do something of their own accord in a day
    refuse_transfer_rate: float = 0.03
    transfer_seconds: float = 86_400.0  # how long a customer may refuse, by the clock whatever the pace
    group_transfer_seconds: float = 86_400.0  # how long a group of somebody who left is being inherited
    member_contact_limit: int = 0  # customers per member; 0: none
    group_full_at: int = 200  # heads at which a group takes nobody more by its code
    link_cap: int = 1000  # acquisition links per corp (the number is not published)
    statistics_ready_hour: int = 6  # yesterday's figures appear at this hour

    def configure(self, values: dict[str, object]) -> None:
        """Set switches by name. Raises ValueError for an unknown name or an unfit value."""
        known: dict[str, type] = {each.name: type(each.default) for each in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"unknown switch {name}")
            if known[name] is bool and not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false")
            if known[name] in (int, float) and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ValueError(f"{name} must be a number")
        for name, value in values.items():
            setattr(self, name, known[name](value))

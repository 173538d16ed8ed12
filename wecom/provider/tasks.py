"""Doors from Celery to the commands of suites."""

from celery import shared_task
from django.utils import timezone

from wecom import waking
from wecom.provider import command

A_TURN = 50
NO_BRAND = 0
"""commands are the installation's; which brand each is about comes out when it is carried out"""


@shared_task(name="wecom.tasks.carry_out_commands", acks_late=True)
def carry_out_commands(**_later_args: object) -> None:
    """Carry out what is due: new authorisations, changes, cancellations. Two at once share the rows."""
    waking.began(carry_out_commands, brand_id=NO_BRAND)
    for _turn in range(A_TURN):
        if not command.carry_out(at=timezone.now()):
            return


@shared_task(name="wecom.tasks.sweep_commands")
def sweep_commands(**_later_args: object) -> None:
    """Delete commands finished long ago."""
    command.sweep(at=timezone.now())

"""Whole numbers out of forms and addresses."""

LARGEST = 2**63 - 1
"""of a bigint"""


def whole(text: str | None, *, most: int = LARGEST) -> int | None:
    """The number from 0 to `most` that the text is, else None: also for digits of other scripts, which `int` takes."""
    text = (text or "").strip()
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(LARGEST)):
        return None
    number = int(text)
    return number if number <= most else None

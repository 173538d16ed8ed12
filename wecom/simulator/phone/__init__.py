"""A customer's phone as a page in the browser: the chats with guides and groups, the Moments, as the customer saw them.

words   what the pages say, in Chinese and English
parts   addresses, faces, attachments
chats   conversations; feed: Moments
page    puts them together, with phone.css and phone.js
"""

from wecom.simulator.phone.page import directory, screen
from wecom.simulator.phone.parts import View
from wecom.simulator.phone.words import Words, language_of

__all__ = ["View", "Words", "directory", "language_of", "screen"]

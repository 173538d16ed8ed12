"""WeCom's own tags beside ours: the library, and who carries them."""

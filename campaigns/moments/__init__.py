"""朋友圈: posts aimed by a corp tag, published by guides."""

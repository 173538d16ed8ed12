"""WeCom's calls by section of the reference, one mixin each; `wecom.client.WeComClient` is all of them together."""

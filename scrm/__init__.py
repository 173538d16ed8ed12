"""What wires the apps together: settings, urls, processes. No app imports it, but for `scrm.lib`."""

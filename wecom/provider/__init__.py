"""The installation as a provider (服务商代开发, api-reference §5): corps authorise our app template instead of making
an app of their own.

    WeCom ──> views ──> command.receive ── suite_ticket ──> Suite
                              │  authorisation commands ──> SuiteCommand ──> tasks ──> authorise.grant / change / cancel
                              └─ business events ─────────> the inbox of the brand
    console ──> authorise.make_link ──> (the corp's admin scans) ──> create_auth, or the browser comes back with a code

A permanent code is the secret of a 代开发 app, so that afterwards the corp is like any other to the rest of the house;
only its ids are the provider's own (§5.3)."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ContactsConfig(AppConfig):
    name = "contacts"
    verbose_name = _("客户")

    def ready(self) -> None:
        """Tell the log who is who, keep last_active_at, and take WeCom's events about people."""
        from contacts import activity, callbacks, gone, imports
        from contacts.merging import reactor, relations
        from contacts.oneid import identity
        from contacts.personal_data import erasure
        from events import reactors, resolver

        resolver.register(identity.resolve)
        resolver.register_current(gone.current)
        reactors.register(activity.REACTOR)
        reactors.register(reactor.REACTOR)
        callbacks.register()
        relations.register_own()
        erasure.register_own()
        imports.register_own()

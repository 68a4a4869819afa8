"""The one kind of error of the plugin."""


class LipstreamException(Exception):
    """An avatar that cannot be shown; the message is one sentence that says what to do."""

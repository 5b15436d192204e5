"""What can go wrong, each with what to do about it. No message ever carries a token or a secret."""


class DeputyError(Exception):
    """Everything this package raises on purpose."""


class DeputyUnavailable(DeputyError):
    """Deputy did not answer, or not in a way that can be relied on. Nothing was permitted."""


class WrongServer(DeputyError):
    """A request was about to carry a token to a server that the token is not for."""


class ExchangeRefused(DeputyError):
    """Deputy refused to issue a token (RFC 6749 section 5.2).

    `error` is the code, `description` the sentence, and `error_id` what an operator can look up
    with `deputy audit list --error-id`.
    """

    def __init__(self, error: str, description: str, error_id: str | None = None) -> None:
        self.error = error
        self.description = description
        self.error_id = error_id
        quoted = f" (error id {error_id})" if error_id else ""
        super().__init__(f"{error}: {description}{quoted}")

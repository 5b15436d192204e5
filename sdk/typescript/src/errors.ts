/** What can go wrong, each with what to do about it. No message ever carries a token or a secret. */

/** Everything this package throws on purpose, but for `TypeError` at a wrong setting. */
export class DeputyError extends Error {
  override name = 'DeputyError'
}

/** Deputy did not answer, or not in a way that can be relied on. Nothing was permitted. */
export class DeputyUnavailable extends DeputyError {
  override name = 'DeputyUnavailable'
}

/** A request was about to carry a token to a server that the token is not for. */
export class WrongServer extends DeputyError {
  override name = 'WrongServer'
}

/** Deputy refused to issue a token (RFC 6749 section 5.2). */
export class ExchangeRefused extends DeputyError {
  override name = 'ExchangeRefused'

  /**
   * @param error The code of the refusal.
   * @param description One sentence about it.
   * @param errorId What an operator looks up with `deputy audit list --error-id`.
   */
  constructor(
    readonly error: string,
    readonly description: string,
    readonly errorId?: string,
  ) {
    super(`${error}: ${description}${errorId === undefined ? '' : ` (error id ${errorId})`}`)
  }
}

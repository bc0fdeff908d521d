/** A problem that the API answers with its status and code. */
export class InspectError extends Error {
  override readonly name = 'InspectError'
  readonly code: string
  readonly status: number
  readonly hint: string | undefined

  constructor(code: string, status: number, message: string, hint?: string) {
    super(message)
    this.code = code
    this.status = status
    this.hint = hint
  }
}

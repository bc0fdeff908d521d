import type { ApiProblem } from '../contract.ts'

/** A refusal of the API. */
export class ApiError extends Error {
  readonly code: string
  readonly status: number

  constructor(status: number, { error, code, hint }: ApiProblem) {
    super(hint === undefined ? error : `${error} ${hint}`)
    this.status = status
    this.code = code
  }
}

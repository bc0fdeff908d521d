/** An entry of {@link API_ERRORS}. */
interface ErrorEntry {
  /** HTTP status. */
  readonly status: number
  /** What happened. */
  readonly meaning: string
  /** What the caller can do. */
  readonly hint: string
}

/** Every error that the API answers with, by its code. docs/api.md has the same table. */
export const API_ERRORS = {
  'body-invalid': {
    status: 400,
    meaning: 'the body is not JSON, or not of the documented shape',
    hint: 'GET /api/v1/openapi.json describes each body; field names the member',
  },
  'query-invalid': {
    status: 400,
    meaning: 'a query parameter is not known, or has a wrong value',
    hint: 'GET /api/v1/openapi.json describes each parameter; field names it',
  },
  'sign-in-invalid': {
    status: 400,
    meaning: 'the sign-in was not begun in this browser, or too long ago',
    hint: 'press Sign in again',
  },
  'endpoint-invalid': {
    status: 400,
    meaning: 'the name cannot be one of an endpoint',
    hint: 'use letters, digits and hyphens',
  },
  'domain-invalid': {
    status: 400,
    meaning: 'it is no domain',
    hint: 'write shop.example.com, or *.shop.example.com for all names below it',
  },
  'endpoints-missing': {
    status: 400,
    meaning: 'a token that may listen or connect has no endpoints',
    hint: 'name them in endpoints, or write ["*"] for all',
  },
  'tenant-differs': {
    status: 400,
    meaning: 'the token that is replaced belongs to another tenant',
    hint: 'leave tenant out, or give the one of that token',
  },
  unauthorized: {
    status: 401,
    meaning: 'the credentials are missing, wrong, or without the right admin',
    hint: 'send Authorization: Bearer TOKEN; adit-server token create --may admin makes one',
  },
  'key-required': {
    status: 401,
    meaning: 'a change needs credentials, also where the admin port asks for none',
    hint: 'send Authorization: Bearer with the text of adit.operator in the data directory, or create a token with adit-server token create --may admin',
  },
  'loopback-only': {
    status: 403,
    meaning: 'the admin port asks for no credentials, and the request is from another machine',
    hint: 'create a token with adit-server token create --may admin; from then on the port asks for one',
  },
  'proxy-refused': {
    status: 403,
    meaning: 'the admin port asks for no credentials, and the request came through a proxy',
    hint: 'create a token with adit-server token create --may admin; from then on the port asks for one',
  },
  'origin-refused': {
    status: 403,
    meaning: 'the request was made by a web page of another site',
    hint: 'open the page at the address of the port itself, or use a program that is no browser',
  },
  'host-refused': {
    status: 403,
    meaning: 'the host name is not one of the port, and the port asks for no credentials',
    hint: 'use an IP address or localhost, or put the name into admin.bind_addr',
  },
  'sign-in-refused': {
    status: 403,
    meaning: 'the provider has refused the sign-in, or you may not use this console',
    hint: 'the log and the audit log of the server say which; admin.oidc.allow names who may',
  },
  'tenant-refused': {
    status: 403,
    meaning:
      'the credentials belong to a tenant, and this is for the whole server or of another one',
    hint: 'use a token without a tenant',
  },
  'domain-refused': {
    status: 403,
    meaning: 'the domain belongs to the server or its operator, or to many owners',
    hint: 'ask for a name of which one owner has all names below',
  },
  'challenge-refused': {
    status: 403,
    meaning: 'the server takes no such proof, or none for this kind of domain',
    hint: 'use the challenge txt, or allow the other one with domain_proof.challenges',
  },
  'not-found': {
    status: 404,
    meaning: 'there is no such resource or path',
    hint: 'GET /api/v1/openapi.json lists the paths',
  },
  'method-not-allowed': {
    status: 405,
    meaning: 'the path has no such method',
    hint: 'the header Allow lists those that it has',
  },
  'limit-reached': {
    status: 409,
    meaning: 'there are as many of them as the server, the tenant or the identity may have',
    hint: 'release what is not used; use one token for several agents',
  },
  'name-taken': {
    status: 409,
    meaning: 'another identity has reserved the name, or serves it',
    hint: 'holder says which: release the reservation, or stop that agent, first',
  },
  'domain-taken': {
    status: 409,
    meaning: 'another identity has proved the domain',
    hint: 'remove the domain of that identity first',
  },
  'challenge-fixed': {
    status: 409,
    meaning: 'the domain is proved in another way',
    hint: 'remove it, and ask for it with the other challenge',
  },
  'token-revoked': {
    status: 409,
    meaning: 'a revoked token cannot be changed',
    hint: 'create another one; replaces keeps its identity and names',
  },
  'precondition-failed': {
    status: 412,
    meaning: 'the resource is not as If-Match says: it was changed meanwhile',
    hint: 'read it again, and repeat the change if it is still right',
  },
  'body-too-large': {
    status: 413,
    meaning: 'the body has more than 65536 bytes',
    hint: 'send less',
  },
  'content-type-unsupported': {
    status: 415,
    meaning: 'a request that changes something has another content type than JSON',
    hint: 'send Content-Type: application/json, also with DELETE',
  },
  'too-many-failures': {
    status: 429,
    meaning: 'too many requests, or wrong credentials, came from this address',
    hint: 'wait for the time in Retry-After',
  },
  'check-limit': {
    status: 429,
    meaning: 'this identity has caused as many checks of domains as it may in a minute',
    hint: 'wait for a minute; the server looks for the proof by itself, too',
  },
  internal: {
    status: 500,
    meaning: 'the server has a defect',
    hint: 'the log of the server has the error; please report it',
  },
  'provider-unavailable': {
    status: 503,
    meaning: 'the OpenID provider does not answer, or its answer cannot be used',
    hint: 'the log of the server says why; check admin.oidc and what is set up at the provider',
  },
  'sign-in-busy': {
    status: 503,
    meaning: 'too many people sign in at once',
    hint: 'try again in a moment',
  },
  'not-durable': {
    status: 503,
    meaning: 'the server stores nothing, so a reservation would be lost when it ends',
    hint: 'set data_dir to a directory that the server may write to',
  },
  'credentials-unchecked': {
    status: 503,
    meaning: 'the credentials cannot be checked now: their keys or tokens cannot be read',
    hint: 'the log of the server says why; wait for the time in Retry-After',
  },
  'store-unavailable': {
    status: 503,
    meaning: 'the store cannot be read or written now',
    hint: 'the log of the server says why; try again',
  },
} as const satisfies Readonly<Record<string, ErrorEntry>>

/** A code of {@link API_ERRORS}. */
export type ApiErrorCode = keyof typeof API_ERRORS

/** Ends a request with an error. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: ApiErrorCode
  /** Further members of the answer, such as `field`. */
  readonly details: Readonly<Record<string, unknown>>

  /** @param message - the reason in one sentence. Default: what the code means. */
  constructor(code: ApiErrorCode, message?: string, details: ApiError['details'] = {}) {
    super(message ?? API_ERRORS[code].meaning)
    this.code = code
    this.details = details
  }
}

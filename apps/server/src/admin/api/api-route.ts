import type { AdminAnswer, AdminApiRequest } from '@proj/program-kit'

import type { Actor } from '../../auth/issue-token.ts'
import type { ApiErrorCode } from './api-error.ts'
import type { JsonShape, NumberShape, ObjectShape, TextShape } from './json-shape.ts'

/** A parameter in the query. */
export type QueryShape = (TextShape | NumberShape) & { readonly description: string }

/** A request that matches its route, with parameters and body that have their shapes. */
export interface ApiCall {
  /** Parts of the path, decoded, by the names in the pattern. */
  readonly path: Readonly<Record<string, string>>
  /** Parameters that were given. */
  readonly query: Readonly<Record<string, string | number | undefined>>
  /** The parsed body; undefined where the route has none. */
  readonly body: unknown
  /** Who asks. */
  readonly actor: Actor
  /** The request itself. */
  readonly request: AdminApiRequest
  /** Tenant of who asks; empty: none, and everything may be asked about. */
  readonly tenant: string
  /** Ends the request with `precondition-failed` when it has an If-Match that the tag is not in. */
  readonly requireMatch: (tag: string) => void
}

/** What a route answers. */
export interface ApiResult {
  /** Default 200. */
  readonly status?: number
  readonly body: unknown
  /** Version of the resource, for ETag. Default: made of the body. */
  readonly tag?: string
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>
  /** Answers in place of the body. */
  readonly stream?: AdminAnswer['stream']
}

/** One method of one path: what is documented and what answers. */
export interface ApiRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below `/api/v1`: `/tokens/{id}`. */
  readonly path: string
  /** One sentence. */
  readonly summary: string
  /** Parts of the path, by name. */
  readonly parts?: Readonly<Record<string, string>>
  /** Default: none. */
  readonly query?: Readonly<Record<string, QueryShape>>
  /** Default: there is no body. */
  readonly body?: ObjectShape
  /** Answers that are no errors, by status. */
  readonly answers: Readonly<
    Record<
      number,
      {
        readonly text: string
        readonly shape: JsonShape
        /** Media type. Default: `application/json`. */
        readonly type?: string
      }
    >
  >
  /** Errors besides those of every route. */
  readonly errors: readonly ApiErrorCode[]
  /** Whether it heeds If-Match. */
  readonly isConditional?: boolean
  /** Whether callers with a tenant may use it; it answers with what is theirs. Default: only callers without. */
  readonly isOfTenants?: boolean
  run(call: ApiCall): Promise<ApiResult>
}

/** Refers to a schema of the document by its name. */
export function shapeOf(name: string): JsonShape {
  return { $ref: `#/components/schemas/${name}` }
}

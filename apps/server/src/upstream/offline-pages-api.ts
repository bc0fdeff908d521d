import { OFFLINE_PAGES_ROUTE, type UpstreamRegistry } from '@proj/tunnel/server'

import { MAX_OFFLINE_PAGE_BYTES, type OfflinePages } from '../proxy/offline-pages.ts'
import {
  type Answer,
  endpointRefusal,
  IdentityApi,
  type IdentityApiParts,
  type Question,
  readJsonBody,
  refusal,
} from './identity-api.ts'

/** JSON writes a byte of a page as six at most. */
const MAX_BODY_BYTES = MAX_OFFLINE_PAGE_BYTES * 6 + 64

/** What the API works with. An identity whose agent serves an endpoint may give it a page. */
export interface OfflinePagesApiParts extends IdentityApiParts {
  readonly pages: OfflinePages
  readonly registry: Pick<UpstreamRegistry, 'sessions'>
}

/** `PUT` and `DELETE` of the page of an endpoint, on the upstream port (docs/protocol.md, "Offline pages"). */
export function createOfflinePagesApi(parts: OfflinePagesApiParts): IdentityApi {
  return new IdentityApi(
    {
      path: OFFLINE_PAGES_ROUTE,
      about: 'an offline page',
      isOfEndpoint: true,
      list: () => refusal(404, 'not-found', 'no such page'),
      put: async (endpoint, question) => await setPage(endpoint, question, parts),
      remove: async (endpoint, question) => removePage(endpoint, question, parts),
    },
    parts,
  )
}

async function setPage(
  endpoint: string,
  question: Question,
  { pages, registry }: OfflinePagesApiParts,
): Promise<Answer> {
  const { tenant, identity } = question.grant
  const refused = endpointRefusal(endpoint, question)
  if (refused !== undefined) return refused
  const body = (await readJsonBody(question.request, MAX_BODY_BYTES)) as { page?: unknown } | null
  const page = body?.page
  if (typeof page !== 'string' || Buffer.byteLength(page) > MAX_OFFLINE_PAGE_BYTES) {
    const most = `of at most ${MAX_OFFLINE_PAGE_BYTES} bytes`
    return refusal(400, 'body-invalid', `the body is {"page":"HTML"}, ${most}`)
  }
  const name = { tenant, name: endpoint }
  if (!serves(identity, name, registry)) {
    return refusal(409, 'not-served', `no agent of yours serves ${JSON.stringify(endpoint)} here`)
  }
  pages.set(name, identity, page)
  return { status: 204 }
}

function removePage(
  endpoint: string,
  question: Question,
  { pages, registry }: OfflinePagesApiParts,
): Answer {
  const { tenant, identity } = question.grant
  const name = { tenant, name: endpoint }
  if (!serves(identity, name, registry)) {
    return refusal(409, 'not-served', `no agent of yours serves ${JSON.stringify(endpoint)} here`)
  }
  pages.delete(name)
  return { status: 204 }
}

function serves(
  identity: string,
  endpoint: { readonly tenant: string; readonly name: string },
  registry: OfflinePagesApiParts['registry'],
): boolean {
  return registry.sessions(endpoint).some((one) => one.identity === identity)
}

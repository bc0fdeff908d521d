export { RequestHeadReader, type RequestHead, type RequestHeadResult } from './request-head.ts'
export {
  ResponseHeadReader,
  isInterim,
  type RequestContext,
  type ResponseHead,
  type ResponseHeadResult,
} from './response-head.ts'

export type { BodyFraming, BodyReader, PayloadSink } from './body-framing.ts'
export { createBodyReader } from './body-reader.ts'
export { ChunkedBody } from './chunked-body.ts'
export type { Strictness } from './repair-lines.ts'

export {
  formatRequestHead,
  formatResponseHead,
  type RequestHeadParts,
  type ResponseHeadParts,
} from './format-head.ts'
export {
  hopsOf,
  rewriteRequestHead,
  visitorScheme,
  type ForwardRequestOptions,
  type TraceForService,
} from './forward-request.ts'
export {
  addsChunks,
  rewriteResponseHead,
  visitorKeepAlive,
  type ForwardResponseOptions,
  type ResponseOutline,
} from './forward-response.ts'
export { forwardedElements, type ForwardedElement } from './forwarded.ts'
export type { TrustedHeader, VisitorConnection } from './forwarded-for.ts'
export { type ErrorForm, errorForm } from './error-form.ts'
export { type ErrorContent, type ErrorResponse, formatErrorResponse } from './error-response.ts'
export { endpointId, type EndpointIdOptions } from './endpoint-id.ts'
export { isToken } from './ascii.ts'
export { getHeader, listItems } from './header-list.ts'
export { parseHost, type HostParts } from './host.ts'

export { HTTP_LIMITS, resolveHttpLimits } from './limits.ts'
export type { HttpLimit, HttpLimits, ResolvedHttpLimits } from './limits.ts'
export { HttpError, isHttpError, type HttpErrorCode } from './errors.ts'
export { HTTP_FAULTS, type HttpFault, type HttpFaultInfo, type HttpSide } from './errors.ts'

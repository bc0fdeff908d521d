/** What visitors are told about an error: in words for people who do not know what a tunnel is. */

/** Part of the way to a service. */
export type VisitorPart = 'visitor' | 'tunnel' | 'agent' | 'service'

/** The words for an error. */
export interface VisitorWording {
  /** What is wrong, without a full stop. */
  readonly title: string
  /** One sentence more; empty where the title says all. */
  readonly what: string
  /** What the visitor can do. */
  readonly visitor: string
  /** What the owner of the service can do; empty where there is nothing. */
  readonly owner: string
  /** Where it is broken. */
  readonly part: VisitorPart
}

const NOT_YOU = 'Nothing is wrong on your side. Try again later, or tell the owner.'
const ASK_OWNER = 'Ask the owner for access, and tell them the request id.'
const YOUR_LOG = 'Look at the log of your service at the time below.'

const OFFLINE: VisitorWording = {
  title: 'This service is offline',
  what: 'Its computer is not connected now.',
  visitor: NOT_YOU,
  owner:
    'Start the agent. If it runs, its log and the command adit status say why it cannot connect.',
  part: 'agent',
}
const NOT_RUNNING: VisitorWording = {
  title: 'The service is not running',
  what: 'Its computer is connected, but the service does not answer there.',
  visitor: NOT_YOU,
  owner: 'Start your service, or correct the address that the agent connects to.',
  part: 'service',
}
const BROKE_OFF: VisitorWording = {
  title: 'The service broke off',
  what: 'It ended the connection before its answer was complete.',
  visitor: 'Try again. If it happens again, tell the owner.',
  owner: YOUR_LOG,
  part: 'service',
}
const AGENT_LOST: VisitorWording = {
  title: 'The connection to the service was lost',
  what: 'The computer of the service was disconnected during your request.',
  visitor: 'Try again. If you were sending something, check first whether it arrived.',
  owner: 'The log of the agent says why its connection ended.',
  part: 'agent',
}
const TOO_SLOW: VisitorWording = {
  title: 'The service did not answer in time',
  what: '',
  visitor: 'Try again. If you were sending something, check first whether it arrived.',
  owner: `Your service took too long. ${YOUR_LOG}`,
  part: 'service',
}
const MOMENT: VisitorWording = {
  title: 'One moment',
  what: 'The server is busy, or it restarts.',
  visitor: 'Try again in a few seconds.',
  owner: 'Nothing, unless it lasts. Then ask the operator of the server.',
  part: 'tunnel',
}
const AGENT_BUSY: VisitorWording = {
  title: 'One moment',
  what: 'The computer of the service is busy.',
  visitor: 'Try again in a few seconds.',
  owner: 'If it lasts, look at the load of that computer and of your service.',
  part: 'agent',
}
const MANY_FROM_YOU: VisitorWording = {
  title: 'Too many requests from you',
  what: 'There is a limit for the requests of one visitor.',
  visitor: 'Wait a little and try again.',
  owner: 'Your agent or the operator of the server sets this limit.',
  part: 'visitor',
}
const MANY: VisitorWording = {
  title: 'Too many requests',
  what: 'There is a limit for the requests of all visitors.',
  visitor: 'Wait a little and try again.',
  owner: 'Your agent or the operator of the server sets this limit.',
  part: 'tunnel',
}
const SLOW_REQUEST: VisitorWording = {
  title: 'Your request took too long to arrive',
  what: '',
  visitor: 'Check your connection and try again.',
  owner: 'Nothing: the visitor was too slow.',
  part: 'visitor',
}
const CHECK_FAILED: VisitorWording = {
  title: 'Your access could not be checked',
  what: 'The fault is in the tunnel, not in the service.',
  visitor: 'Try again in a minute. If it fails again, tell the owner the request id.',
  owner: 'The log of the server has the reason under this request id.',
  part: 'tunnel',
}
const MALFORMED: VisitorWording = {
  title: 'The request could not be understood',
  what: '',
  visitor: 'Try again. If you followed a link, tell its author.',
  owner: 'The code says what is wrong with the request.',
  part: 'visitor',
}
const NO_ENTRY: VisitorWording = {
  title: 'You cannot visit from here',
  what: 'The owner allows only some visitors.',
  visitor: ASK_OWNER,
  owner: 'Your rules for visitors do not allow this one.',
  part: 'visitor',
}
const WRONG: VisitorWording = {
  title: 'That did not work',
  what: 'The name, the password or the token is not right.',
  visitor: 'Try again, or ask the owner for access.',
  owner: '',
  part: 'visitor',
}
const INVALID_ANSWER: VisitorWording = {
  title: 'The answer of the service is not valid',
  what: '',
  visitor: NOT_YOU,
  owner: 'The log of the server says what is wrong with the answer.',
  part: 'service',
}

/** Table: the words for each code that has its own; docs/reference/errors prints it. */
export const VISITOR_WORDING: Readonly<Record<string, VisitorWording>> = Object.freeze({
  address_denied: NO_ENTRY,
  agent_busy: AGENT_BUSY,
  agent_full: AGENT_BUSY,
  bad_response: INVALID_ANSWER,
  body_timeout: SLOW_REQUEST,
  body_too_large: {
    title: 'What you send is too large',
    what: '',
    visitor: 'Send less, or ask the owner for the limit.',
    owner: 'Your agent or the operator of the server sets this limit.',
    part: 'visitor',
  },
  body_too_slow: SLOW_REQUEST,
  checks_busy: MOMENT,
  credentials_missing: {
    title: 'Please sign in',
    what: '',
    visitor: 'Use the name and the password, or the token, that the owner gave you.',
    owner: '',
    part: 'visitor',
  },
  credentials_wrong: WRONG,
  draining: MOMENT,
  endpoint_bandwidth: MANY,
  endpoint_concurrent: MANY,
  endpoint_missing: {
    title: 'This address is incomplete',
    what: 'It does not say which service you want.',
    visitor: 'Check the link that you followed.',
    owner: 'Give visitors the whole address, such as name.example.com.',
    part: 'visitor',
  },
  endpoint_not_http: {
    title: 'This service has no web pages',
    what: 'It carries another protocol than HTTP.',
    visitor: 'Ask the owner which program to use.',
    owner: 'Serve it with adit http if it is a web service.',
    part: 'visitor',
  },
  endpoint_quota: MANY,
  endpoint_rate: MANY,
  endpoint_unknown: OFFLINE,
  first_byte_timeout: TOO_SLOW,
  head_timeout: SLOW_REQUEST,
  idle_timeout: TOO_SLOW,
  interim_limit: INVALID_ANSWER,
  length_required: MALFORMED,
  limit_reached: AGENT_BUSY,
  loop_detected: {
    title: 'This address leads in a circle',
    what: 'The service sends the request back to the tunnel again and again.',
    visitor: NOT_YOU,
    owner: 'The agent connects to the tunnel itself. Correct the address of the service.',
    part: 'service',
  },
  no_upstream: OFFLINE,
  not_here: OFFLINE,
  overloaded: MOMENT,
  proof_unknown: {
    title: 'There is nothing at this address',
    what: 'Servers look here for the proof of a domain, and this domain has none.',
    visitor: 'Check the spelling of the address.',
    owner:
      'adit domain list shows what proves your domain. A domain that points here already needs a TXT record.',
    part: 'visitor',
  },
  proxy_header_rejected: MALFORMED,
  service_closed: BROKE_OFF,
  service_down: NOT_RUNNING,
  service_refused: NOT_RUNNING,
  service_reset: BROKE_OFF,
  service_timeout: TOO_SLOW,
  service_unreachable: NOT_RUNNING,
  source_quota: MANY_FROM_YOU,
  tenant_unknown: {
    title: 'There is nothing at this address',
    what: 'No service has this name here.',
    visitor: 'Check the spelling of the address.',
    owner: 'Check the name and the tenant of your agent.',
    part: 'visitor',
  },
  time_limit: {
    title: 'The request took too long',
    what: 'There is a limit for the time of a request.',
    visitor: 'Try again with less. If you were sending something, check first whether it arrived.',
    owner: 'Your agent or the operator of the server sets this limit.',
    part: 'tunnel',
  },
  token_expired: {
    title: 'Your access has ended',
    what: 'The token is too old.',
    visitor: 'Ask the owner for a new token.',
    owner: '',
    part: 'visitor',
  },
  token_invalid: WRONG,
  token_keys_unavailable: CHECK_FAILED,
  token_not_permitted: NO_ENTRY,
  too_many_connections: MOMENT,
  too_many_failures: {
    title: 'Too many failed attempts',
    what: '',
    visitor: 'Wait a little and try again.',
    owner: '',
    part: 'visitor',
  },
  unauthorized: WRONG,
  upload_timeout: {
    title: 'The service did not take what you sent',
    what: '',
    visitor: 'Try again. Check first whether it arrived.',
    owner: YOUR_LOG,
    part: 'service',
  },
  upstream_lost: AGENT_LOST,
  visitor_check_failed: CHECK_FAILED,
  visitor_check_timeout: CHECK_FAILED,
  visitor_rate: MANY_FROM_YOU,
})

const FAULT_OF_TUNNEL: VisitorWording = {
  title: 'The tunnel could not carry the request',
  what: '',
  visitor: NOT_YOU,
  owner: 'The log of the server has the reason at the time below.',
  part: 'tunnel',
}

/** The words for a code, or for its status where the code has none of its own. */
export function visitorWording(code: string, status: number): VisitorWording {
  const own = Object.hasOwn(VISITOR_WORDING, code) ? VISITOR_WORDING[code] : undefined
  if (own !== undefined) return own
  if (status === 502) return INVALID_ANSWER
  return status >= 500 ? FAULT_OF_TUNNEL : MALFORMED
}
